/** What the simulator knows of each offset: the answer key of a night. */
import type { Damage } from './corrupt.ts'
import type { Kind } from './object.ts'
import type { Alert, PacketRecord } from './packet.ts'
import { judge } from './verdict.ts'

export type Fate = 'alert' | 'duplicate' | 'late' | `corrupt:${Damage}` | 'gap'

export interface Truth {
  topic: string
  partition: number
  offset: number
  /** Kafka's timestamp, Unix milliseconds; of a gap, that of the record behind it. */
  timestamp: number
  kind: Fate
  objectId?: string
  /** Above 2^53, so a string. */
  candid?: string
  class?: Kind
  schemavsn?: string
  /** What the filter and the purity cuts should say of the packet, were it intact. */
  extragalactic?: boolean
  pure?: boolean
  /** The true parameters of a supernova or outburst. */
  source?: Readonly<Record<string, number>>
}

/** The truth of a record. */
export function truthOf(
  at: Pick<Truth, 'topic' | 'partition' | 'offset' | 'timestamp' | 'kind'>,
  { object }: Alert,
  record: PacketRecord,
): Truth {
  return {
    ...at,
    objectId: object.objectId,
    candid: String(record.candid),
    class: object.kind,
    schemavsn: record.schemavsn,
    ...judge(record),
    ...(object.truth === undefined ? {} : { source: object.truth }),
  }
}
