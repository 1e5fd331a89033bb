/**
 * What `terraform apply` would do, for tests: every resource of a synthesised stack, in the order of its
 * references, made at an emulator of its service and read back. Google's provider itself cannot be had
 * where these tests run.
 */
import { forgotten, kindsBeyond, thingsBeyond } from './beyond.ts'
import { resolved, resourcesInOrder, type Fields, type Resource } from './blueprint.ts'
import { makers, type Making, type Request } from './data-plane.ts'

export interface Applied {
  /** Address of what was made. */
  made: string[]
  /** Address and reason of what was not. */
  beyond: { address: string; reason: string }[]
  /** Arguments that an emulator took and forgot: `google_storage_bucket: labels`. */
  forgotten: string[]
}

export interface ApplyOptions extends Making {
  text: string
  /** What a function's address is: the test serves it there. */
  uriOf(functionName: string): string
}

/** Make a stack. Throws for a resource, argument or answer that is neither made nor expected. */
export async function apply(options: ApplyOptions): Promise<Applied> {
  const { text, uriOf, project } = options
  const answers = new Map<string, Fields>()
  const applied: Applied = { made: [], beyond: [], forgotten: [] }
  const lost = new Set<string>()
  for (const { type, address, fields } of resourcesInOrder(text)) {
    const reason = type.startsWith('data.') ? 'looked up, not made' : reasonOf({ type, address })
    const make = makers[type]
    const own = resolved(fields, (named, attribute) => {
      const value = answers.get(named)?.[attribute]
      if (typeof value === 'string') return value
      // What is not made may name what is not made.
      if (reason !== undefined) return `(${named}.${attribute})`
      throw new Error(`Cannot make ${address}: nobody knows ${named}.${attribute}`)
    })
    if (reason !== undefined || make === undefined) {
      if (reason === undefined) {
        throw new Error(
          `Cannot make ${address}: no applier knows ${type}; see test/infra/apply/beyond.ts`,
        )
      }
      if (!type.startsWith('data.')) applied.beyond.push({ address, reason })
      answers.set(address, { ...own, ...attributesOf(type, own, project, uriOf) })
      continue
    }
    try {
      const request = make(own, options)
      for (const path of await send(request)) {
        const expected = (forgotten[type] ?? []).some((known) => within(path, known))
        if (!expected) throw new Error(`it does not stand as it was asked for: ${path}`)
        lost.add(`${type}: ${forgotten[type]?.find((known) => within(path, known))}`)
      }
      answers.set(address, { ...own, ...request.attributes })
      applied.made.push(address)
    } catch (cause) {
      throw new Error(`Cannot make ${address}: ${String(cause)}`, { cause })
    }
  }
  applied.forgotten = [...lost].sort()
  return applied
}

const within = (path: string, known: string): boolean =>
  path === known || path.startsWith(`${known}.`)

/** Why it is not made; undefined where it must be. */
function reasonOf({ type, address }: Pick<Resource, 'type' | 'address'>): string | undefined {
  const thing = thingsBeyond.find((one) => one.address.test(address))
  if (thing !== undefined) return thing.reason
  if (makers[type] !== undefined) return undefined
  const kind = Object.keys(kindsBeyond).findLast((prefix) => type.startsWith(prefix))
  return kind === undefined ? undefined : kindsBeyond[kind]
}

/** What Google would answer of things that no emulator has. */
function attributesOf(
  type: string,
  own: Fields,
  project: string,
  uriOf: (functionName: string) => string,
): Record<string, string> {
  const said = (key: string): string => String(own[key] ?? '')
  switch (type) {
    case 'google_service_account': {
      const email = `${said('account_id')}@${project}.iam.gserviceaccount.com`
      return { email, name: `projects/${project}/serviceAccounts/${email}` }
    }
    case 'google_project_iam_custom_role':
      return { name: `projects/${project}/roles/${said('role_id')}` }
    case 'google_cloudfunctions2_function':
      return { 'service_config[0].uri': uriOf(said('name')) }
    case 'google_monitoring_notification_channel':
      return { id: `projects/${project}/notificationChannels/1` }
    case 'data.google_project':
      return { number: '123456789012' }
    case 'data.google_storage_project_service_account':
      return { email_address: 'service-123456789012@gs-project-accounts.iam.gserviceaccount.com' }
    default:
      return { id: `${type}/${said('name')}` }
  }
}

/** Send it and read it back; answers the paths of what does not stand as it was asked for. */
async function send({ method, url, body, bytes, back }: Request): Promise<string[]> {
  const made = await call(url, {
    method,
    headers: { 'content-type': bytes ? 'application/zip' : 'application/json' },
    body: bytes ? Buffer.from(bytes) : JSON.stringify(body),
  })
  const stands = await call(back.replace('{id}', String(made['id'])), { method: 'GET' })
  return missingIn(body, stands, '')
}

async function call(url: string, init: RequestInit): Promise<Fields> {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(30_000) })
  const text = await response.text()
  if (response.ok) return JSON.parse(text) as Fields
  throw new Error(`${init.method} ${url}: ${response.status} ${text.slice(0, 300)}`)
}

/** Paths of what was asked for and does not stand. Letters' case is the services' own. */
function missingIn(asked: unknown, stands: unknown, path: string): string[] {
  if (asked === undefined) return []
  if (typeof asked !== 'object' || asked === null) {
    const same = String(asked).toLowerCase() === String(stands ?? '').toLowerCase()
    return same || isDefault(asked, stands) ? [] : [path]
  }
  const inner = (stands ?? {}) as Fields
  return Object.entries(asked).flatMap(([key, value]) =>
    missingIn(value, inner[key], path === '' ? key : `${path}.${key}`),
  )
}

/** The interfaces leave out what is false, and empty. */
const isDefault = (asked: unknown, stands: unknown): boolean =>
  stands === undefined && (asked === false || asked === '')
