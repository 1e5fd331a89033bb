/**
 * PROGRAM: the stages as Cloud Functions. Each stage of the pipeline is an entry point of its name; a
 * bundle of one stage (`make bundle`) has that one alone. A wrong environment stops the start, with a
 * sentence that names every fault.
 *
 *     functions-framework --source=dist/functions/archive --target=archive --signature-type=cloudevent
 */
import { cloudEvent } from '@google-cloud/functions-framework'

import { openCloudGround } from '../cloud/ground.ts'
import { createLog } from '../cloud/log.ts'
import { parseEnvironment } from '../core/environment.ts'
import { stagesOf } from '../core/pipeline.ts'
import { serveStage } from './serve.ts'

const environment = parseEnvironment(process.env)
const log = createLog((line) => void process.stdout.write(line))
// `make bundle` puts the stage's name in the place of the variable.
const only = process.env['NIGHTJAR_STAGE']
const names = stagesOf(environment.at.survey).filter((name) => only === undefined || name === only)

const serving = names.map((name) => {
  const served = serveStage(name, openCloudGround(environment), log)
  cloudEvent(name, (event: unknown) => served.handle(event))
  served.warm()
  return served
})

/** The answers to the last requests need this long to leave the process. */
const answeringMs = 100

/** Cloud Run gives ten seconds between this signal and the end. */
async function endInOrder(): Promise<void> {
  await Promise.allSettled(serving.map((served) => served.close()))
  setTimeout(() => process.exit(0), answeringMs)
}

process.on('newListener', (event, listener) => {
  // The framework's own ends the process at once, whatever is under way.
  if (event !== 'SIGTERM' || listener === endInOrder) return
  setImmediate(() => process.removeListener('SIGTERM', listener as () => void))
})
process.on('SIGTERM', endInOrder)
