/** The readers of a survey as Cloud Functions of the second generation, each under its own account. */
import { CloudRunServiceIamMember } from '@cdktf/provider-google/lib/cloud-run-service-iam-member/index.js'
import { Cloudfunctions2Function } from '@cdktf/provider-google/lib/cloudfunctions2-function/index.js'
import { StorageBucketObject } from '@cdktf/provider-google/lib/storage-bucket-object/index.js'
import type { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js'
import { AssetType, TerraformAsset } from 'cdktf'

import { functionName } from '../core/names.ts'
import { stageNamed, type AnyReader } from '../core/pipeline.ts'
import type { Bundles } from './bundles.ts'
import type { SurveyContext } from './context.ts'
import { memberOf, type Accounts } from './identities.ts'

export type Functions = ReadonlyMap<AnyReader['name'], Cloudfunctions2Function>

/** Each instance takes this many messages at a time: they wait for services, not for the processor. */
const concurrency = 16

export function addFunctions(
  { stack, at, config, labels, readers }: SurveyContext,
  accounts: Accounts,
  brokerFiles: StorageBucket,
  bundles: Bundles,
): Functions {
  const functions = new Map<AnyReader['name'], Cloudfunctions2Function>()
  for (const { name: reader, memory, stages: served } of readers) {
    const account = accounts.readers.get(reader)
    if (account === undefined) continue
    const { path, name } = bundles.of(reader)
    const asset = new TerraformAsset(stack, `bundle-${at.survey}-${reader}`, {
      path,
      type: AssetType.FILE,
    })
    // The name holds the hash of the content: a new bundle is a new object, and so a new deployment.
    const source = new StorageBucketObject(stack, `code-${at.survey}-${reader}`, {
      bucket: brokerFiles.name,
      name: `functions/${at.survey}/${name}`,
      source: asset.path,
    })
    const made = new Cloudfunctions2Function(stack, `function-${at.survey}-${reader}`, {
      name: functionName(at, reader),
      location: config.region,
      description: served.map((stage) => stageNamed(stage).does).join('; '),
      labels: { ...labels, reader },
      buildConfig: {
        runtime: 'nodejs24',
        entryPoint: reader,
        source: { storageSource: { bucket: brokerFiles.name, object: source.outputName } },
      },
      serviceConfig: {
        availableMemory: memory,
        availableCpu: '1',
        maxInstanceCount: config.maxInstances,
        minInstanceCount: 0,
        maxInstanceRequestConcurrency: concurrency,
        timeoutSeconds: 60,
        ingressSettings: 'ALLOW_INTERNAL_ONLY',
        allTrafficOnLatestRevision: true,
        serviceAccountEmail: account.email,
        environmentVariables: {
          FUNCTION_SIGNATURE_TYPE: 'cloudevent',
          GOOGLE_CLOUD_PROJECT: at.project,
          NIGHTJAR_SURVEY: at.survey,
          ...(at.instance !== undefined && { NIGHTJAR_INSTANCE: at.instance }),
        },
      },
    })
    new CloudRunServiceIamMember(stack, `call-${at.survey}-${reader}`, {
      location: config.region,
      service: made.name,
      role: 'roles/run.invoker',
      member: memberOf(accounts.caller),
    })
    functions.set(reader, made)
  }
  return functions
}
