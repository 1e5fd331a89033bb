/**
 * One request to a service of Google's that has no SDK here: with this account's credentials, or to what
 * stands in for the service.
 */
import { GoogleAuth, PassThroughClient } from 'google-auth-library'

export interface RestOptions {
  project: string
  /** `https://compute.googleapis.com`. */
  service: string
  scope: string
  /** `host:port` of what stands in for it. */
  emulator?: string
}

export interface RestRequest {
  method?: 'GET' | 'POST'
  /** With its query. */
  path: string
  body?: object
  timeoutMs: number
  signal?: AbortSignal
}

/** Make requests to a service. What it refuses is thrown as the SDKs throw it: `code`, `errors`. */
export function openRest(options: RestOptions): <T>(request: RestRequest) => Promise<T> {
  const { project, service, scope, emulator } = options
  const auth = new GoogleAuth({
    projectId: project,
    scopes: [scope],
    ...(emulator !== undefined && { authClient: new PassThroughClient() }),
  })
  const base = emulator === undefined ? service : `http://${emulator}`

  return async function request<T>({ method = 'GET', path, body, timeoutMs, signal }: RestRequest) {
    const late = AbortSignal.timeout(Math.ceil(timeoutMs))
    const sent = auth.request<T>({
      url: `${base}${path}`,
      method,
      ...(body !== undefined && { data: body }),
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      // One loop tries again for all services: cloud/retry.ts.
      retry: false,
      validateStatus: () => true,
    })
    const { status, data } = await sent.catch((cause: unknown) => {
      throw late.aborted ? silence(timeoutMs, cause) : networkFault(cause)
    })
    if (status >= 200 && status < 300) return data
    throw refusalOf(status, data)
  }
}

const silence = (ms: number, cause: unknown): Error =>
  Object.assign(new Error(`no answer within ${ms} ms`, { cause }), { code: 'ETIMEDOUT' })

/** What the network said is at the bottom of what the client says. */
function networkFault(error: unknown): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if ('code' in cause && /^(E[A-Z]+|UND_ERR_\w+)$/.test(String(cause.code))) return cause
  }
  return error
}

/** Google's error object (AIP-193 and its forerunner), as `faults.ts` reads it. */
function refusalOf(status: number, data: unknown): Error {
  const said = (data as { error?: { message?: unknown; errors?: unknown } } | null)?.error
  const message = typeof said?.message === 'string' ? said.message : `it answers ${status}`
  return Object.assign(new Error(message), { code: status, errors: said?.errors })
}
