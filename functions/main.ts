/**
 * PROGRAM: the stages as Cloud Functions. Each reader of the pipeline is an entry point of its name, which
 * serves its stages; a bundle of one reader (`make bundle`) has that one alone. A wrong environment stops the
 * start, with a sentence that names every fault.
 *
 *     functions-framework --source=dist/functions/packets --target=packets --signature-type=cloudevent
 */
import { cloudEvent } from '@google-cloud/functions-framework'

import { openCloudGround } from '../cloud/ground.ts'
import { createLog } from '../cloud/log.ts'
import { parseEnvironment } from '../core/environment.ts'
import { readersOf } from '../core/pipeline.ts'
import { serveReader } from './serve.ts'

const environment = parseEnvironment(process.env)
const log = createLog((line) => void process.stdout.write(line))
// `make bundle` puts the reader's name in the place of the variable.
const only = process.env['NIGHTJAR_READER']
const readers = readersOf(environment.at.survey)

const serving = readers.flatMap((reader) => {
  if (only !== undefined && reader.name !== only) return []
  const served = serveReader(reader, openCloudGround(environment), log)
  cloudEvent(reader.name, (event: unknown) => served.handle(event))
  served.warm()
  return [served]
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
