/**
 * The night conductor as a function of the second generation, for a survey that wants no machine for it: each
 * request of Cloud Scheduler is one tick. Nobody else may call it, and it never runs twice at a time.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

import { CloudRunServiceIamMember } from '@cdktf/provider-google/lib/cloud-run-service-iam-member/index.js'
import { Cloudfunctions2Function } from '@cdktf/provider-google/lib/cloudfunctions2-function/index.js'
import { StorageBucketObject } from '@cdktf/provider-google/lib/storage-bucket-object/index.js'
import type { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js'
import { AssetType, TerraformAsset } from 'cdktf'

import { functionName, secretName } from '../core/names.ts'
import type { Bundles } from './bundles.ts'
import type { SurveyContext } from './context.ts'
import { memberOf, type Accounts } from './identities.ts'
import type { ConductorSecrets } from './secrets.ts'
import { secretsFolder } from './streams.ts'

/** Where the function has its secrets. Cloud Run mounts each as a folder of its own, with its version in it. */
const mountOf = (word: string): string => `/etc/nightjar/${word}`
const version = 'latest'

/** The longest of a tick; an audit of a large night is in one. */
export const tickSeconds = 900

export const conductorMemory = '1Gi'

export function addConductor(
  { stack, at, config, labels }: SurveyContext,
  accounts: Accounts,
  brokerFiles: StorageBucket,
  bundles: Bundles,
  secrets: ConductorSecrets,
): Cloudfunctions2Function {
  const { path, name } = bundles.of('conductor')
  const asset = new TerraformAsset(stack, `bundle-${at.survey}-conductor`, {
    path,
    type: AssetType.FILE,
  })
  const source = new StorageBucketObject(stack, `code-${at.survey}-conductor`, {
    bucket: brokerFiles.name,
    name: `functions/${at.survey}/${name}`,
    source: asset.path,
  })
  const content = mounted(readFileSync(config.streams, 'utf8'), [...secrets.keys()])
  const sha256 = createHash('sha256').update(content).digest('hex')
  const settings = new StorageBucketObject(stack, `object-${at.survey}-conductor-streams`, {
    bucket: brokerFiles.name,
    name: `functions/${at.survey}/nightjar-${sha256.slice(0, 16)}.toml`,
    content,
    // Whoever ticks meanwhile still finds the file that it was told of.
    lifecycle: { createBeforeDestroy: true },
  })
  const made = new Cloudfunctions2Function(stack, `function-${at.survey}-conductor`, {
    name: functionName(at, 'conductor'),
    location: config.region,
    description: 'Starts, proves and ends the night, a step at each tick',
    labels: { ...labels, program: 'conductor' },
    buildConfig: {
      runtime: 'nodejs24',
      entryPoint: 'conductor',
      source: { storageSource: { bucket: brokerFiles.name, object: source.outputName } },
    },
    serviceConfig: {
      availableMemory: conductorMemory,
      availableCpu: '1',
      maxInstanceCount: 1,
      minInstanceCount: 0,
      maxInstanceRequestConcurrency: 1,
      timeoutSeconds: tickSeconds,
      ingressSettings: 'ALLOW_INTERNAL_ONLY',
      allTrafficOnLatestRevision: true,
      serviceAccountEmail: accounts.conductor.email,
      environmentVariables: {
        FUNCTION_SIGNATURE_TYPE: 'http',
        GOOGLE_CLOUD_PROJECT: at.project,
        NIGHTJAR_SURVEY: at.survey,
        ...(at.instance !== undefined && { NIGHTJAR_INSTANCE: at.instance }),
        NIGHTJAR_ZONE: config.zone,
        NIGHTJAR_CONFIG: `gs://${brokerFiles.name}/${settings.name}`,
        // A harmless one of kafkajs.
        NODE_OPTIONS: '--disable-warning=TimeoutNegativeWarning',
      },
      ...(secrets.size > 0 && {
        secretVolumes: [...secrets.keys()].map((word) => ({
          mountPath: mountOf(word),
          projectId: at.project,
          secret: secretName(at, word),
          versions: [{ version, path: version }],
        })),
      }),
    },
    dependsOn: [...secrets.values()],
  })
  new CloudRunServiceIamMember(stack, `call-${at.survey}-conductor`, {
    location: config.region,
    service: made.name,
    role: 'roles/run.invoker',
    member: memberOf(accounts.caller),
  })
  return made
}

/** The file of streams with each secret where the function has it; a machine has it elsewhere. */
function mounted(text: string, words: readonly string[]): string {
  return words.reduce(
    (changed, word) =>
      changed.replaceAll(`"${secretsFolder}${word}"`, `"${mountOf(word)}/${version}"`),
    text,
  )
}
