/**
 * What can go wrong, as a closed set. The first group is permanent: the same bytes will fail again,
 * so the alert goes to the dead letters. The second may pass: the message is handed out again.
 */
export type PermanentCode =
  | 'packet_undecodable'
  | 'packet_unbounded'
  | 'schema_illegal'
  | 'schema_unknown'
  | 'alert_unidentified'
  | 'message_too_large'
  | 'attribute_invalid'
  | 'row_rejected'
  | 'attempts_exhausted'
  | 'input_invalid'

export type TransientCode =
  | 'publish_failed'
  | 'store_failed'
  | 'table_failed'
  | 'source_failed'
  | 'home_unusable'
  | 'home_busy'

/** The last two are about us and not about an alert: a person has to act before trying helps. */
export type ErrorCode = PermanentCode | TransientCode | 'config_invalid' | 'access_denied'

const permanent: ReadonlySet<string> = new Set<PermanentCode>([
  'packet_undecodable',
  'packet_unbounded',
  'schema_illegal',
  'schema_unknown',
  'alert_unidentified',
  'message_too_large',
  'attribute_invalid',
  'row_rejected',
  'attempts_exhausted',
  'input_invalid',
])

/**
 * The one error of the project. The message reads `Cannot <do> <what>: <why, with the value>` and
 * has no full stop; the code is for machines, the cause is kept.
 */
export class NightjarError extends Error {
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'NightjarError'
    this.code = code
  }
}

/** True where the same input would fail the same way, so that trying again cannot help. */
export function isPermanent(error: unknown): error is NightjarError {
  return error instanceof NightjarError && permanent.has(error.code)
}

/** The sentence of any thrown thing, for a reason column or a terminal. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
