/**
 * Stages that begin when somebody wants them, such as that of the named filters, and so in the midst of
 * a night: from which offsets on each of them owes an account. What the intake had made durable by then
 * is not owed, and all that came after is, at the latest by being sent to the stage again.
 */
import { NightjarError } from './errors.ts'
import type { Store } from './ports.ts'
import { listProgress } from './progress.ts'

export interface LateStage {
  stage: string
  /** When it began, ISO 8601. */
  since: string
  /** The first offset that it owes, of each partition that was known then; of any other, all. */
  from: { topic: string; partition: number; offset: bigint }[]
}

const prefix = 'late-stages/'

/**
 * Write down that a stage begins now, if it has not begun before. Its subscription must be there
 * already: whatever the intake publishes after this reaches it.
 */
export async function beginStage(store: Store, stage: string, at: Date): Promise<void> {
  const name = `${prefix}${stage}.json`
  if ((await store.read(name)) !== null) return
  const from = (await listProgress(store)).flatMap(({ topic, partitions }) =>
    partitions.map(({ partition, next }) => ({ topic, partition, offset: String(next) })),
  )
  const record = { stage, since: at.toISOString(), from }
  // Where somebody else was faster, their beginning is the earlier one.
  await store.create(name, Buffer.from(`${JSON.stringify(record, null, 1)}\n`))
}

/** Every stage that ever began so. */
export async function lateStages(store: Store): Promise<LateStage[]> {
  const found: LateStage[] = []
  for await (const { name } of store.list(prefix)) {
    const object = await store.read(name)
    if (object !== null) found.push(parse(object.data, name))
  }
  return found
}

function parse(data: Uint8Array, object: string): LateStage {
  try {
    const { stage, since, from } = JSON.parse(Buffer.from(data).toString()) as LateStage
    return {
      stage,
      since,
      from: from.map(({ topic, partition, offset }) => ({
        topic,
        partition,
        offset: BigInt(offset),
      })),
    }
  } catch (cause) {
    throw new NightjarError('store_failed', `Cannot read "${object}": it is no late stage`, {
      cause,
    })
  }
}
