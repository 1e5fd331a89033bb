/** gRPC services from the definitions that Google's packages bring along. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'

const modules = join(import.meta.dirname, '../../../node_modules')

/** A status as gRPC sends it; thrown or emitted by a handler. */
export function status(code: number, details: string): Error {
  return Object.assign(new Error(details), { code, details })
}

export interface Service {
  /** The package that has the definition, and its path in it: `google.pubsub.v1.Publisher`. */
  package: string
  path: string
  /** The file of the definition, if the package has several. */
  file?: string
  handlers: UntypedServiceImplementation
}

/** Serve some services on a port of the system's choice. */
export async function serve(
  services: readonly Service[],
  maxMessageBytes: number,
): Promise<{ host: string; stop(): void }> {
  const server = new Server({ 'grpc.max_receive_message_length': maxMessageBytes })
  for (const { package: name, path, handlers, file: part = 'protos.json' } of services) {
    const file = join(modules, name, 'build/protos', part)
    const options = { longs: String, enums: Number, defaults: true, oneofs: true }
    let found: unknown = loadPackageDefinition(
      fromJSON(JSON.parse(readFileSync(file, 'utf8')), options),
    )
    for (const step of path.split('.')) found = (found as Record<string, unknown>)[step]
    server.addService((found as ServiceClientConstructor).service, handlers)
  }
  const port = await new Promise<number>((resolve, reject) => {
    const done = (error: Error | null, bound: number): void =>
      error === null ? resolve(bound) : reject(error)
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), done)
  })
  return { host: `127.0.0.1:${port}`, stop: () => server.forceShutdown() }
}
