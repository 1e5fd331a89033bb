/**
 * PROGRAM: the stages as Cloud Functions, and the night conductor. Each reader of the pipeline is an entry
 * point of its name, which serves its stages the messages that Pub/Sub pushes; `conductor` is one for the
 * requests of Cloud Scheduler, each of them one tick. A bundle (`make bundle`) has one of them alone. A wrong
 * environment stops the start, with a sentence that names every fault.
 *
 *     functions-framework --source=dist/functions/packets --target=packets --signature-type=cloudevent
 *     functions-framework --source=dist/functions/conductor --target=conductor
 */
import { cloudEvent, http } from '@google-cloud/functions-framework'

import { openCloudGround } from '../cloud/ground.ts'
import { createLog } from '../cloud/log.ts'
import { parseEnvironment } from '../core/environment.ts'
import { sentenceOf } from '../core/errors.ts'
import { filterReadersOf, readersOf } from '../core/pipeline.ts'
import { serveReader } from './serve.ts'

// As it was at the start: the SDK of Cloud Storage has one variable taken from the process.
const env = { ...process.env }
const environment = parseEnvironment(env)
const write = (line: string): void => void process.stdout.write(line)
const log = createLog(write)
// `make bundle` puts the reader's name in the place of the variable.
const only = process.env['NIGHTJAR_READER']
const { survey } = environment.at
const readers = [...readersOf(survey), ...filterReadersOf(survey)]

const serving = readers.flatMap((reader) => {
  if (only !== undefined && reader.name !== only) return []
  const served = serveReader(reader, openCloudGround(environment), log)
  cloudEvent(reader.name, (event: unknown) => served.handle(event))
  served.warm()
  return [served]
})

const ending = new AbortController()

if (only === undefined || only === 'conductor') {
  http('conductor', async (_, response) => {
    try {
      // Loaded here, so that no stage's bundle has it in it.
      const { conductOnce, isDone } = await import('../cli/conductor-request.ts')
      const { signal } = ending
      const conducted = await conductOnce({ env, write, now: () => new Date(), signal })
      response.status(isDone(conducted) ? 200 : 500).json(conducted)
    } catch (error) {
      const reason = sentenceOf(error)
      log('tick_failed', { night: '?', reason })
      response.status(500).json({ reason })
    }
  })
}

/** The answers to the last requests need this long to leave the process. */
const answeringMs = 100

/** Cloud Run gives ten seconds between this signal and the end. */
async function endInOrder(): Promise<void> {
  ending.abort()
  await Promise.allSettled(serving.map((served) => served.close()))
  setTimeout(() => process.exit(0), answeringMs)
}

process.on('newListener', (event, listener) => {
  // The framework's own ends the process at once, whatever is under way.
  if (event !== 'SIGTERM' || listener === endInOrder) return
  setImmediate(() => process.removeListener('SIGTERM', listener as () => void))
})
process.on('SIGTERM', endInOrder)
