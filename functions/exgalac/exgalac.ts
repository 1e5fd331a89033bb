/** Stage `exgalac`: alerts that may be extragalactic transients go on, without cutouts, on a topic. */
import { forStageAttribute } from '../../core/alert.ts'
import type { Message, Topic } from '../../core/ports.ts'
import { projectAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import { trimPacket } from '../../schemas/encode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import type { SchemaSource } from '../../schemas/registry.ts'
import type { StageHandler, Verdict } from '../stage.ts'
import { failedCuts, isTransient, judgeCuts, type Cuts } from './cuts.ts'

export interface ExgalacOptions {
  transients: Topic
  schemas: SchemaSource
}

/** Make the handler. Its verdict publishes; purity rides along as an attribute. */
export function createExgalac({ transients, schemas }: ExgalacOptions): StageHandler {
  return async function handleExgalac(message: Message): Promise<Verdict> {
    const { objectId, candid } = projectAlert(message.data, schemas)
    const { failed, transient } = judgeTransient(message, schemas)
    if (transient === undefined) {
      return { outcome: 'filtered', reason: failed.join(', '), objectId, candid }
    }
    await transients.publish(transient)
    return { outcome: 'published', objectId, candid }
  }
}

/** The message that an alert becomes on the transients' topic; without one, the cuts that it failed. */
export function judgeTransient(
  { data, attributes }: Message,
  schemas: SchemaSource,
): { failed: string[]; transient?: Message } {
  const { record } = readAlertWithoutCutouts(data, schemas)
  const cuts = judgeCuts(record)
  if (!isTransient(cuts)) return { failed: failedCuts(cuts) }
  const { [forStageAttribute]: _, ...own } = attributes
  const transient = {
    // Subscribers read with whatever they have: the schema must be legal, as it is in the archive.
    data: trimPacket(fixPacket(data).bytes, schemas),
    attributes: { ...own, ...describe(record, cuts) },
  }
  return { failed: [], transient }
}

/** What a subscriber may filter on without opening the packet; cuts are "1" and "0". */
function describe(record: Record<string, unknown>, cuts: Cuts): Record<string, string> {
  const candidate = record['candidate'] as Record<string, unknown>
  const described: Record<string, string> = { is_extragalactic_transient: '1' }
  for (const [name, passed] of Object.entries(cuts)) described[name] = passed ? '1' : '0'
  for (const name of ['fid', 'magpsf', 'ra', 'dec', 'rb', 'drb', 'distpsnr1', 'sgscore1']) {
    const value = candidate[name]
    if (typeof value === 'number') described[name] = String(value)
  }
  return described
}
