/**
 * A project as the stack makes it, that can be looked at and asked what a caller may, and nothing more: Pub/Sub
 * over gRPC, Cloud Storage, BigQuery and Cloud Functions over REST. Its rules, with where each is written:
 *
 * - `testIamPermissions` answers those of the permissions asked for that the caller has; a wildcard is refused;
 *   of a resource that is not there it answers none, and no NOT_FOUND (google.iam.v1, IAMPolicy).
 * - Cloud Storage refuses `storage.buckets.list` and `.create`, which are not of a bucket, and leaves
 *   `permissions` away where there are none (JSON API, Buckets: testIamPermissions).
 * - BigQuery has it of tables, not of data sets (REST reference v2, tables.testIamPermissions).
 * - A permission of another kind of resource is refused: Pub/Sub's are `pubsub.topics.*` and
 *   `pubsub.subscriptions.*` (Pub/Sub docs, "Access control": permissions and roles).
 * - To look at a thing takes `pubsub.topics.get`, `pubsub.subscriptions.get`, `storage.buckets.get`,
 *   `bigquery.datasets.get`, `bigquery.tables.get`, `.list`, `bigquery.routines.list`,
 *   `cloudfunctions.functions.list`; a dry run takes `bigquery.jobs.create` ("IAM permissions" of each).
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { serve, status } from './grpc.ts'

export interface ProjectDouble {
  grpc: string
  rest: string
  /** By full name: `projects/p/topics/t`, `buckets/b`, `datasets/d`, `datasets/d/tables/t`, `functions/f`. */
  things: Map<string, object>
  /** What the caller lacks, as `permission on thing`; the thing of a project's permission is `project`. */
  lacks: Set<string>
  /** Every permission that was asked about, as `permission on thing`. */
  asked: string[]
  stop(): void
}

type Answer = (error: Error | null, response?: unknown) => void

/** What kind of resource a permission is of. */
const kinds: readonly [RegExp, RegExp][] = [
  [/\/topics\//, /^pubsub\.topics\.\w+$/],
  [/\/subscriptions\//, /^pubsub\.subscriptions\.\w+$/],
  [/^buckets\//, /^storage\.(objects\.\w+|buckets\.(?!list$|create$)\w+)$/],
  [/\/tables\//, /^bigquery\.tables\.\w+$/],
]

/** Start one, in this process. */
export async function startProjectDouble(): Promise<ProjectDouble> {
  const may = (permission: string, thing: string): boolean =>
    !double.lacks.has(`${permission} on ${thing}`)

  /** The answer of `testIamPermissions`, or the sentence that refuses the question. */
  function granted(thing: string, permissions: readonly string[]): string[] | string {
    const [, own = /^$/] = kinds.find(([of]) => of.test(thing)) ?? []
    const strange = permissions.find((permission) => !own.test(permission))
    if (strange !== undefined) return `Permission ${strange} is not valid for this resource.`
    double.asked.push(...permissions.map((permission) => `${permission} on ${thing}`))
    return double.things.has(thing) ? permissions.filter((one) => may(one, thing)) : []
  }

  const lookAt =
    (field: 'topic' | 'subscription', permission: string) =>
    ({ request }: { request: Record<string, string> }, answer: Answer): void => {
      const name = request[field] ?? ''
      if (!may(permission, name)) {
        return answer(status(7, 'User not authorized to perform this action.'))
      }
      const found = double.things.get(name)
      if (found !== undefined) return answer(null, { name, ...found })
      answer(status(5, `Resource not found (resource=${name.split('/').at(-1)}).`))
    }

  function testIamPermissions(
    { request }: { request: { resource: string; permissions: string[] } },
    answer: Answer,
  ): void {
    const permissions = granted(request.resource, request.permissions)
    if (typeof permissions === 'string') return answer(status(3, permissions))
    answer(null, { permissions })
  }

  function rest(method: string, url: URL, body: string): [number, unknown] {
    const path = decodeURIComponent(url.pathname)
    const [, bucket, below] = /^\/storage\/v1\/b\/([^/]+)(\/.*)?$/.exec(path) ?? []
    if (bucket !== undefined) return storage(`buckets/${bucket}`, below, url.searchParams)
    const [, rows] =
      /^\/(?:bigquery\/v2\/)?projects\/[^/]+\/(datasets\/.+|jobs|queries)$/.exec(path) ?? []
    if (rows !== undefined) return warehouse(rows, body)
    if (/^\/v2\/projects\/[^/]+\/locations\/-\/functions$/.test(path)) {
      if (!may('cloudfunctions.functions.list', 'project')) {
        return denied("Permission 'cloudfunctions.functions.list' denied on resource")
      }
      return [200, { functions: thingsBelow('functions/') }]
    }
    return refusal(404, 'notFound', `Not found: ${method} ${path}`)
  }

  function storage(name: string, below = '', query: URLSearchParams): [number, unknown] {
    if (below === '/iam/testPermissions') {
      const permissions = granted(name, query.getAll('permissions'))
      if (typeof permissions === 'string') return refusal(400, 'invalid', permissions)
      const kind = 'storage#testIamPermissionsResponse'
      return [200, { kind, ...(permissions.length > 0 && { permissions }) }]
    }
    if (!may('storage.buckets.get', name)) {
      return denied(
        'me does not have storage.buckets.get access to the Google Cloud Storage bucket.',
      )
    }
    const found = double.things.get(name)
    if (found === undefined) return refusal(404, 'notFound', 'The specified bucket does not exist.')
    if (below === '/notificationConfigs')
      return [200, { items: thingsBelow(`notices of ${name}/`) }]
    return [200, found]
  }

  function warehouse(path: string, body: string): [number, unknown] {
    const [, tested] = /^(.*):testIamPermissions$/.exec(path) ?? []
    if (tested !== undefined) {
      const { permissions: wanted = [] } = JSON.parse(body) as { permissions?: string[] }
      const permissions = granted(tested, wanted)
      if (typeof permissions === 'string') return refusal(400, 'invalid', permissions)
      return [200, permissions.length > 0 ? { permissions } : {}]
    }
    if (path === 'jobs') {
      const said =
        'Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.'
      return may('bigquery.jobs.create', 'project')
        ? [200, { status: { state: 'DONE' } }]
        : denied(said)
    }
    const [, dataset = '', kind, name] =
      /^(datasets\/[^/]+)(?:\/(tables|routines)(?:\/(.+))?)?$/.exec(path) ?? []
    const verb =
      kind === undefined ? 'datasets.get' : `${kind}.${name === undefined ? 'list' : 'get'}`
    const thing = name === undefined ? dataset : path
    if (!may(`bigquery.${verb}`, thing)) {
      return denied(`Access Denied: ${thing}: Permission bigquery.${verb} denied`)
    }
    if (kind !== undefined && name === undefined) {
      return [200, { [kind]: thingsBelow(`${dataset}/${kind}/`) }]
    }
    const found = double.things.get(thing)
    return found === undefined ? refusal(404, 'notFound', `Not found: ${thing}`) : [200, found]
  }

  const thingsBelow = (prefix: string): object[] =>
    [...double.things].flatMap(([name, thing]) => (name.startsWith(prefix) ? [thing] : []))

  const server = createServer((incoming, outgoing) => {
    void (async () => {
      let body = ''
      for await (const chunk of incoming) body += String(chunk)
      const { method = 'GET', url = '/' } = incoming
      const [code, answer] = rest(method, new URL(url, 'http://x'), body)
      outgoing.writeHead(code, { 'content-type': 'application/json' })
      outgoing.end(JSON.stringify(answer))
    })()
  })
  const pubsub = '@google-cloud/pubsub-api'
  const { host, stop } = await serve(
    [
      {
        package: pubsub,
        path: 'google.pubsub.v1.Publisher',
        handlers: { getTopic: lookAt('topic', 'pubsub.topics.get') },
      },
      {
        package: pubsub,
        path: 'google.pubsub.v1.Subscriber',
        handlers: { getSubscription: lookAt('subscription', 'pubsub.subscriptions.get') },
      },
      {
        package: 'google-gax',
        file: 'iam_service.json',
        path: 'google.iam.v1.IAMPolicy',
        handlers: { testIamPermissions },
      },
    ],
    1 << 20,
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const double: ProjectDouble = {
    grpc: host,
    rest: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    things: new Map(),
    lacks: new Set(),
    asked: [],
    stop() {
      server.closeAllConnections()
      server.close()
      stop()
    },
  }
  return double
}

const refusal = (code: number, reason: string, message: string): [number, unknown] => [
  code,
  { error: { code, message, errors: [{ message, domain: 'global', reason }] } },
]

const denied = (message: string): [number, unknown] => refusal(403, 'forbidden', message)
