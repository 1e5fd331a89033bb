/**
 * Write the stack of one instance as `cdktf.out/stacks/<name>/cdk.tf.json`, for cdktf, terraform or
 * tofu. So far it holds the data plane; what runs comes with the programs.
 *
 *     GOOGLE_CLOUD_PROJECT=my-project NIGHTJAR_SURVEY=ztf NIGHTJAR_INSTANCE=rc1 node infra/main.ts
 */
import { App } from 'cdktf'

import { parseInstance, parseSurvey, type Instance } from '../core/names.ts'
import { createDataPlane } from './data-plane.ts'

const { GOOGLE_CLOUD_PROJECT, NIGHTJAR_SURVEY, NIGHTJAR_INSTANCE, NIGHTJAR_REGION } = process.env
const at: Instance = {
  survey: parseSurvey(NIGHTJAR_SURVEY ?? 'ztf'),
  project: GOOGLE_CLOUD_PROJECT ?? 'my-project',
  ...(NIGHTJAR_INSTANCE && { instance: parseInstance(NIGHTJAR_INSTANCE) }),
}
const app = new App({ outdir: new URL('cdktf.out', import.meta.url).pathname })
const stack = createDataPlane(app, at, NIGHTJAR_REGION ?? 'us-central1')
app.synth()
console.log(`infra/cdktf.out/stacks/${stack.node.id}/cdk.tf.json`)
