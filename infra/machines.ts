/**
 * The two machines of a survey, or the consumer's alone where a function conducts. Each is pinned to its
 * files: to the generation of each object in the broker files and to its SHA-256, which `boot.sh` asks for
 * at every start. So what runs is what was deployed; putting something else under a name changes nothing.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { ComputeInstanceIamMember } from '@cdktf/provider-google/lib/compute-instance-iam-member/index.js'
import { ComputeInstance } from '@cdktf/provider-google/lib/compute-instance/index.js'
import type { ComputeSubnetwork } from '@cdktf/provider-google/lib/compute-subnetwork/index.js'
import { ProjectIamMember } from '@cdktf/provider-google/lib/project-iam-member/index.js'
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js'
import { StorageBucketObject } from '@cdktf/provider-google/lib/storage-bucket-object/index.js'
import type { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js'
import { AssetType, Fn, TerraformAsset } from 'cdktf'

import { machineName, secretName } from '../core/names.ts'
import type { Bundles } from './bundles.ts'
import type { SurveyContext } from './context.ts'
import { memberOf, type Accounts, type Roles } from './identities.ts'
import type { Streams } from './streams.ts'

const programs = ['consumer', 'conductor'] as const

export interface Machines {
  consumer: ComputeInstance
  conductor?: ComputeInstance
}

const root = resolve(import.meta.dirname, '..')

export function addMachines(
  context: SurveyContext,
  accounts: Accounts,
  roles: Roles,
  subnetwork: ComputeSubnetwork,
  brokerFiles: StorageBucket,
  bundles: Bundles,
  streams: Streams,
): Machines {
  const { stack, at, config, labels } = context
  const assetOf = (word: string, path: string): TerraformAsset =>
    new TerraformAsset(stack, `file-${at.survey}-${word}`, { path, type: AssetType.FILE })

  /** Upload a file; answers its line of NIGHTJAR_FILES. */
  const upload = (word: string, path: string, stem: string, ending: string): string => {
    const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex')
    const object = new StorageBucketObject(stack, `object-${at.survey}-${word}`, {
      bucket: brokerFiles.name,
      name: `machine/${at.survey}/${stem}-${sha256.slice(0, 16)}${ending}`,
      source: assetOf(word, path).path,
      // A machine that starts meanwhile still finds the file that it is pinned to.
      lifecycle: { createBeforeDestroy: true },
    })
    const generation = object.getStringAttribute('generation')
    const [kind = ''] = word.split('-')
    return `${sha256} ${generation} ${brokerFiles.name} ${object.name} ${kind}`
  }
  const shared = [
    upload('program', bundles.machine().path, 'nightjar', '.tar.gz'),
    upload('streams', config.streams, 'nightjar', '.toml'),
  ]
  const boot = Fn.file(assetOf('boot', resolve(root, 'infra/boot.sh')).path)
  const machine = (which: (typeof programs)[number]): ComputeInstance => {
    const secrets = (streams.get(at.survey)?.secrets[which] ?? []).map(
      (word) => `${word} ${secretName(at, word)}`,
    )
    const script = resolve(root, which, 'vm_startup.sh')
    const startup = upload(`startup-${which}`, script, `${which}/vm_startup`, '.sh')
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
      // No access configuration: no address of the outside.
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
        // The serial console becomes a log of Cloud Logging, without an agent on the machine.
        'serial-port-logging-enable': 'TRUE',
        'startup-script': boot,
        NIGHTJAR_FILES: [...shared, startup].join('\n'),
        NIGHTJAR_SECRETS: secrets.join('\n'),
        NIGHTJAR_SURVEY: at.survey,
        NIGHTJAR_INSTANCE: at.instance ?? '',
      },
      // The conductor says which night it is, and so may an operator.
      lifecycle: { ignoreChanges: ['metadata["NIGHT"]', 'metadata["KAFKA_TOPIC"]'] },
    })
  }
  const machines: Machines = {
    consumer: machine('consumer'),
    ...(config.conductor[at.survey] === 'machine' && { conductor: machine('conductor') }),
  }
  for (const which of programs) {
    const made = machines[which]
    if (made === undefined) continue
    // Of all machines of the project the conductor may touch these.
    new ComputeInstanceIamMember(stack, `${at.survey}-${which}-by-conductor`, {
      zone: config.zone,
      instanceName: made.name,
      role: roles.machinist.name,
      member: memberOf(accounts.conductor),
    })
  }
  // Who says to a machine what it shall do acts in the name of its account.
  new ServiceAccountIamMember(stack, `${at.survey}-consumer-as-conductor`, {
    serviceAccountId: accounts.consumer.name,
    role: 'roles/iam.serviceAccountUser',
    member: memberOf(accounts.conductor),
  })
  // It waits for the end of what it began, and asks how much is left.
  new ProjectIamMember(stack, `${at.survey}-watches-as-conductor`, {
    project: config.project,
    role: roles.watcher.name,
    member: memberOf(accounts.conductor),
  })
  return machines
}
