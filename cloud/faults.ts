/** What Google's services answer when they do not do what they are asked, in sentences with a remedy. */
import { NightjarError, sentenceOf, type ErrorCode } from '../core/errors.ts'

export type FaultKind =
  | 'missing'
  | 'forbidden'
  | 'unauthenticated'
  | 'quota'
  | 'invalid'
  | 'exists'
  | 'precondition'
  | 'passing'
  | 'other'

/** gRPC's status codes (grpc.github.io, "Status codes and their use in gRPC"). */
const byStatus: Readonly<Record<number, FaultKind>> = {
  1: 'passing',
  2: 'passing',
  3: 'invalid',
  4: 'passing',
  5: 'missing',
  6: 'exists',
  7: 'forbidden',
  8: 'quota',
  9: 'precondition',
  10: 'passing',
  11: 'invalid',
  13: 'passing',
  14: 'passing',
  16: 'unauthenticated',
}

/** HTTP's, as Cloud Storage and BigQuery use them (their docs: "HTTP status and error codes"). */
const byHttp: Readonly<Record<number, FaultKind>> = {
  400: 'invalid',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'missing',
  408: 'passing',
  409: 'exists',
  412: 'precondition',
  413: 'invalid',
  429: 'quota',
}

/** BigQuery answers 403 for what has run out, too, and tells it by its reason. */
const quotaReason = /rateLimitExceeded|quotaExceeded|userRateLimitExceeded|jobRateLimitExceeded/

const noCredentials =
  /default credentials|credentials? file|file at .* does not exist|invalid_grant|Unable to detect a Project Id/i

/** What kind of fault an error of one of the SDKs is. */
export function kindOfFault(error: unknown): FaultKind {
  if (noCredentials.test(sentenceOf(error))) return 'unauthenticated'
  const code = Number((error as { code?: unknown } | undefined)?.code)
  if (code in byStatus) return byStatus[code] ?? 'other'
  if (code === 403 && quotaReason.test(reasonsOf(error))) return 'quota'
  if (code in byHttp) return byHttp[code] ?? 'other'
  if (code >= 500) return 'passing'
  // Sockets and name servers say it in words: ECONNREFUSED, ETIMEDOUT, ENOTFOUND.
  return Number.isNaN(code) && isOfTheNetwork(error) ? 'passing' : 'other'
}

/** True where the same request may do later: the kinds that SDKs retry, and no others. */
export function mayPass(error: unknown): boolean {
  const kind = kindOfFault(error)
  return kind === 'passing' || kind === 'quota'
}

export interface Attempted {
  /** What was to be done, as it follows "Cannot": `publish to topic "ztf_alert_data"`. */
  deed: string
  /** What has to exist: `topic "ztf_alert_data"`. */
  thing: string
  project: string
  /** The role that allows it. */
  role: string
}

/** The one error of ours for one of theirs: what could not be done, why, and what to do about it. */
export function fault(code: ErrorCode, error: unknown, attempted: Attempted): NightjarError {
  if (error instanceof NightjarError) return error
  return new NightjarError(code, `Cannot ${attempted.deed}: ${whyOf(error, attempted)}`, {
    cause: error,
  })
}

function whyOf(error: unknown, { thing, project, role }: Attempted): string {
  const said = saidBy(error)
  switch (kindOfFault(error)) {
    case 'missing':
      return `project "${project}" has no ${thing}; make it with the stack of infra/, or name the right project (${said})`
    case 'forbidden':
      return `this account may not; grant it ${role} on ${thing} of project "${project}" (${said})`
    case 'unauthenticated':
      return (
        `there are no credentials for project "${project}" that Google takes; run "gcloud auth ` +
        `application-default login", or set GOOGLE_APPLICATION_CREDENTIALS (${said})`
      )
    case 'quota':
      return `a quota of project "${project}" is used up; wait, or ask for more in its quotas page (${said})`
    case 'passing':
      return `Google's service does not answer; it is tried again (${said})`
    default:
      return said
  }
}

/** Their sentence on one line, without their full stop and at a length that a log can bear. */
export function saidBy(error: unknown): string {
  const text = sentenceOf(error).replaceAll(/\s+/g, ' ').trim()
  return text.slice(0, 300).replace(/[.!]$/, '')
}

function reasonsOf(error: unknown): string {
  const { errors } = error as { errors?: unknown }
  if (!Array.isArray(errors)) return sentenceOf(error)
  return errors.map((item) => String((item as { reason?: unknown } | null)?.reason)).join(' ')
}

function isOfTheNetwork(error: unknown): boolean {
  const code = String((error as { code?: unknown } | undefined)?.code)
  return /^(E[A-Z]+|UND_ERR_\w+)$/.test(code) || /socket hang up|network/i.test(sentenceOf(error))
}
