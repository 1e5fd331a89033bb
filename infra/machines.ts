/**
 * The two machines of a survey. Each fetches at every start its start-up script, and the script its
 * program, from the broker files; both are named by the hash of their content, so what runs is what was
 * deployed, and uploading something under an old name changes nothing.
 */
import { readFileSync } from 'node:fs'
import { createHash } from 'node:crypto'

import { ComputeInstanceIamMember } from '@cdktf/provider-google/lib/compute-instance-iam-member/index.js'
import { ComputeInstance } from '@cdktf/provider-google/lib/compute-instance/index.js'
import type { ComputeSubnetwork } from '@cdktf/provider-google/lib/compute-subnetwork/index.js'
import { ProjectIamMember } from '@cdktf/provider-google/lib/project-iam-member/index.js'
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js'
import { StorageBucketObject } from '@cdktf/provider-google/lib/storage-bucket-object/index.js'
import type { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js'
import { AssetType, TerraformAsset } from 'cdktf'

import { machineName } from '../core/names.ts'
import type { Bundles } from './bundles.ts'
import type { SurveyContext } from './context.ts'
import { memberOf, type Accounts, type Roles } from './identities.ts'

const programs = ['consumer', 'conductor'] as const

export type Machines = Readonly<Record<(typeof programs)[number], ComputeInstance>>

/** The files of the machines, below the root of the repository. */
const scriptOf = (program: string): string => `${program}/vm_startup.sh`

export function addMachines(
  context: SurveyContext,
  accounts: Accounts,
  roles: Roles,
  subnetwork: ComputeSubnetwork,
  brokerFiles: StorageBucket,
  bundles: Bundles,
): Machines {
  const { stack, at, config, labels } = context
  const upload = (word: string, path: string, name: string): StorageBucketObject => {
    const asset = new TerraformAsset(stack, `file-${at.survey}-${word}`, {
      path,
      type: AssetType.FILE,
    })
    return new StorageBucketObject(stack, `object-${at.survey}-${word}`, {
      bucket: brokerFiles.name,
      name,
      source: asset.path,
    })
  }
  const bundle = bundles.machine()
  const program = upload('machine', bundle.path, `machine/${at.survey}/${bundle.name}`)
  const streams = upload(
    'streams',
    bundles.file(config.streams),
    hashedName(`machine/${at.survey}/nightjar`, '.toml', bundles.file(config.streams)),
  )

  const machine = (which: (typeof programs)[number]): ComputeInstance => {
    const path = bundles.file(scriptOf(which))
    const script = upload(which, path, hashedName(`${which}/${at.survey}/vm_startup`, '.sh', path))
    return new ComputeInstance(stack, `machine-${at.survey}-${which}`, {
      name: machineName(at, which),
      description: which === 'consumer' ? 'Kafka to Pub/Sub' : 'Starts, proves and ends the night',
      machineType: config.machineType,
      zone: config.zone,
      labels: { ...labels, program: which },
      allowStoppingForUpdate: true,
      bootDisk: {
        initializeParams: { image: 'debian-cloud/debian-12', size: 20, type: 'pd-balanced' },
      },
      networkInterface: [{ subnetwork: subnetwork.id }],
      shieldedInstanceConfig: {
        enableSecureBoot: true,
        enableVtpm: true,
        enableIntegrityMonitoring: true,
      },
      serviceAccount: {
        email: accounts[which].email,
        scopes: ['https://www.googleapis.com/auth/cloud-platform'],
      },
      metadata: {
        'enable-oslogin': 'TRUE',
        'block-project-ssh-keys': 'TRUE',
        'startup-script-url': `gs://${brokerFiles.name}/${script.outputName}`,
        NIGHTJAR_PROGRAM: `gs://${brokerFiles.name}/${program.outputName}`,
        NIGHTJAR_STREAMS: `gs://${brokerFiles.name}/${streams.outputName}`,
        NIGHTJAR_SURVEY: at.survey,
        NIGHTJAR_INSTANCE: at.instance ?? '',
      },
      // The conductor starts and stops it, and says which night it is.
      lifecycle: {
        ignoreChanges: ['desired_status', 'metadata["NIGHT"]', 'metadata["KAFKA_TOPIC"]'],
      },
    })
  }
  const machines: Machines = { consumer: machine('consumer'), conductor: machine('conductor') }
  for (const which of programs) {
    // Of all machines of the project the conductor may touch these two.
    new ComputeInstanceIamMember(stack, `${at.survey}-${which}-by-conductor`, {
      zone: config.zone,
      instanceName: machines[which].name,
      role: roles.machinist.name,
      member: memberOf(accounts.conductor),
    })
    // Who changes a machine's metadata acts in the name of its account.
    new ServiceAccountIamMember(stack, `${at.survey}-${which}-as-conductor`, {
      serviceAccountId: accounts[which].name,
      role: 'roles/iam.serviceAccountUser',
      member: memberOf(accounts.conductor),
    })
    for (const role of ['roles/logging.logWriter', 'roles/monitoring.metricWriter'] as const) {
      new ProjectIamMember(stack, `${at.survey}-${which}-${role.split('.')[1] ?? ''}`, {
        project: config.project,
        role,
        member: memberOf(accounts[which]),
      })
    }
  }
  return machines
}

/** A name that changes when the content does and never else. */
function hashedName(stem: string, ending: string, path: string): string {
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)
  return `${stem}-${hash}${ending}`
}
