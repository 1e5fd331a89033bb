/**
 * Compute Engine and Cloud Monitoring in this process, of which Google has no emulators: the few methods
 * that are used, with the rules that their REST references state. What is not allowed is refused.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Instance {
  status: string
  fingerprint: number
  items: { key: string; value: string }[]
}

interface Operation {
  name: string
  status: 'PENDING' | 'RUNNING' | 'DONE'
  error?: { errors: { code: string; message: string }[] }
  /** What becomes of the instance when it is done. */
  ends: () => void | Promise<void>
}

interface Refusal {
  status: number
  reason: string
  message: string
}

export interface ComputeDouble {
  host: string
  /** By `zone/name`. */
  instances: Map<string, Instance>
  /** `METHOD path`, of each request that came, without its query. */
  seen: string[]
  /** Asked before each request; `lost`: it is done, and its answer is lost. */
  fault(method: string, path: string): Refusal | 'lost' | 'silence' | undefined
  /** What an operation of this kind fails of, when it is done. */
  failure(verb: string): { code: string; message: string } | undefined
  /** What the machine does when it has started, and before it has stopped. */
  onStart(name: string, metadata: Record<string, string>): void | Promise<void>
  onStop(name: string): void | Promise<void>
  /** The newest sample, by `metric subscription`; what has none is not told. */
  samples: Map<string, number>
  stop(): void
}

const uuid = /^(?!0{8}-)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Start it on a port of its own. */
export async function startCompute(): Promise<ComputeDouble> {
  const operations = new Map<string, Operation>()
  /** "the server can check if original operation with the same request ID was received" */
  const byRequest = new Map<string, Operation>()

  function refuse(status: number, reason: string, message: string): never {
    const refusal: Refusal = { status, reason, message }
    throw refusal
  }

  /** instances.get, .setMetadata, .start, .stop (Compute Engine REST reference, v1, instances). */
  function ofInstance(
    method: string,
    key: string,
    verb: string | undefined,
    query: URLSearchParams,
    body: string,
  ): object {
    const instance = double.instances.get(key)
    const [zone = '', name = ''] = key.split('/')
    if (instance === undefined) {
      const resource = `projects/p/zones/${zone}/instances/${name}`
      return refuse(404, 'notFound', `The resource '${resource}' was not found`)
    }
    if (verb === undefined) {
      if (method !== 'GET') refuse(404, 'notFound', 'Not Found')
      const { status, fingerprint, items } = instance
      return { name, status, metadata: { fingerprint: String(fingerprint), items } }
    }
    if (method !== 'POST') refuse(404, 'notFound', 'Not Found')
    const id = query.get('requestId')
    // "The request ID must be a valid UUID with the exception that zero UUID is not supported"
    if (id !== null && !uuid.test(id)) refuse(400, 'invalid', `Invalid value '${id}' of requestId`)
    const known = id === null ? undefined : byRequest.get(id)
    if (known !== undefined) return answerOf(known)
    const operation = begin(verb, name, instance, body)
    if (id !== null) byRequest.set(id, operation)
    return answerOf(operation)
  }

  function begin(verb: string, name: string, instance: Instance, body: string): Operation {
    const operation: Operation = {
      name: `operation-${operations.size + 1}`,
      status: 'PENDING',
      ends() {},
    }
    operations.set(operation.name, operation)
    if (verb === 'setMetadata') {
      const { fingerprint, items } = JSON.parse(body) as Partial<Instance>
      // "You must always provide an up-to-date fingerprint hash in order to update or change metadata,
      // otherwise the request will fail with error 412 conditionNotMet."
      if (String(fingerprint) !== String(instance.fingerprint)) {
        refuse(
          412,
          'conditionNotMet',
          'Supplied fingerprint does not match current metadata fingerprint.',
        )
      }
      instance.fingerprint++
      instance.items = items ?? []
      return operation
    }
    // "The request body must be empty."
    if (body !== '') refuse(400, 'invalid', 'The request body must be empty')
    const moving = /^(STOPPING|PROVISIONING|STAGING|SUSPENDING|REPAIRING)$/.test(instance.status)
    if (verb === 'start') {
      // "Starts an instance that was stopped using the instances().stop method."
      if (moving || instance.status === 'SUSPENDED') {
        refuse(400, 'resourceNotReady', `The resource is ${instance.status}`)
      }
      if (instance.status === 'RUNNING') return operation
      instance.status = 'PROVISIONING'
      operation.ends = async () => {
        const metadata = Object.fromEntries(instance.items.map(({ key, value }) => [key, value]))
        instance.status = 'RUNNING'
        await double.onStart(name, metadata)
      }
    } else if (verb === 'stop') {
      if (instance.status === 'TERMINATED') return operation
      instance.status = 'STOPPING'
      operation.ends = async () => {
        await double.onStop(name)
        instance.status = 'TERMINATED'
      }
    } else refuse(404, 'notFound', 'Not Found')
    const error = double.failure(verb)
    if (error !== undefined) {
      operation.error = { errors: [error] }
      operation.ends = () => void (instance.status = 'TERMINATED')
    }
    return operation
  }

  const answerOf = ({ name, status, error }: Operation): object => ({
    kind: 'compute#operation',
    name,
    status,
    ...(status === 'DONE' && error && { error }),
  })

  /** "Waits for the specified Operation resource to return as DONE or for the request to approach the 2 minute deadline" */
  async function wait(name: string): Promise<object> {
    const operation = operations.get(name)
    if (operation === undefined)
      return refuse(404, 'notFound', `The resource '${name}' was not found`)
    if (operation.status === 'PENDING') {
      // The deadline may come first: then it answers as it stands.
      operation.status = 'RUNNING'
      return answerOf(operation)
    }
    if (operation.status === 'RUNNING') {
      operation.status = 'DONE'
      await operation.ends()
    }
    return answerOf(operation)
  }

  /** projects.timeSeries.list (Cloud Monitoring REST reference, v3). */
  function timeSeries(query: URLSearchParams): object {
    const end = query.get('interval.endTime')
    // "interval.endTime: Required."
    if (end === null || Number.isNaN(Date.parse(end))) refuse(400, 'badRequest', 'interval.endTime')
    const filter = query.get('filter') ?? ''
    const found =
      /^metric\.type = "pubsub\.googleapis\.com\/subscription\/(\w+)" AND resource\.labels\.subscription_id = "([^"]+)"$/.exec(
        filter,
      )
    // "The filter must specify a single metric type."
    if (found === null) return refuse(400, 'badRequest', `The filter is not understood: ${filter}`)
    const value = double.samples.get(`${found[1]} ${found[2]}`)
    // A series without a point in the interval is not among the answers.
    if (value === undefined) return {}
    return { timeSeries: [{ points: [{ value: { int64Value: String(value) } }] }] }
  }

  async function answer(method: string, url: URL, body: string): Promise<object> {
    const instance =
      /^\/compute\/v1\/projects\/[^/]+\/zones\/([^/]+)\/instances\/([^/]+)(?:\/(\w+))?$/.exec(
        url.pathname,
      )
    if (instance !== null) {
      return ofInstance(
        method,
        `${instance[1]}/${instance[2]}`,
        instance[3],
        url.searchParams,
        body,
      )
    }
    const operation =
      /^\/compute\/v1\/projects\/[^/]+\/zones\/[^/]+\/operations\/([^/]+)\/wait$/.exec(url.pathname)
    if (operation !== null && method === 'POST') return wait(operation[1] ?? '')
    if (/^\/v3\/projects\/[^/]+\/timeSeries$/.test(url.pathname) && method === 'GET') {
      return timeSeries(url.searchParams)
    }
    return refuse(404, 'notFound', `${method} ${url.pathname} is no method of ours`)
  }

  const server = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/' } = incoming
    const at = new URL(url, 'http://double')
    void textOf(incoming).then(async (body) => {
      double.seen.push(`${method} ${at.pathname}`)
      const fault = double.fault(method, at.pathname)
      if (fault === 'silence') return
      let status = 200
      let said: object
      try {
        if (typeof fault === 'object') throw fault
        said = await answer(method, at, body)
        if (fault === 'lost') return void outgoing.destroy()
      } catch (error) {
        const {
          status: code = 500,
          reason = 'internal',
          message = String(error),
        } = error as Refusal
        status = code
        said = { error: { code, message, errors: [{ message, domain: 'global', reason }] } }
      }
      outgoing.writeHead(status, { 'content-type': 'application/json' })
      outgoing.end(JSON.stringify(said))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const double: ComputeDouble = {
    host: `127.0.0.1:${port}`,
    instances: new Map(),
    seen: [],
    fault: () => undefined,
    failure: () => undefined,
    onStart() {},
    onStop() {},
    samples: new Map(),
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
  return double
}

/** A machine that stands still. */
export const stopped = (items: Instance['items'] = []): Instance => ({
  status: 'TERMINATED',
  fingerprint: 1,
  items,
})

async function textOf(stream: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += chunk
  return text
}
