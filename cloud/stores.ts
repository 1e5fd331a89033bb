/** The connection to Cloud Storage of one project, shared by its buckets. */
import { Storage } from '@google-cloud/storage'

import { createReady, type Ready } from './credentials.ts'
import { createGate } from './gate.ts'

export interface StoresOptions {
  project: string
  /** `host:port` of an emulator. Absent: the service itself. */
  emulator?: string
}

export interface Stores {
  project: string
  storage: Storage
  ready: Ready
  /** Runs a request when there is room for it. */
  pass: <T>(request: () => Promise<T>) => Promise<T>
}

const requestsAtOnce = 64

/** Open the connection. Nothing is sent yet. */
export function openStores({ project, emulator }: StoresOptions): Stores {
  const storage = new Storage({
    projectId: project,
    // The SDK's own retries nest, and one upload without precondition turns them off for all others.
    retryOptions: { autoRetry: false, maxRetries: 0 },
    // Not STORAGE_EMULATOR_HOST: with it the client asks for other paths than the service has.
    ...(emulator !== undefined && { apiEndpoint: `http://${emulator}` }),
  })
  return {
    project,
    storage,
    ready: createReady(project, emulator !== undefined),
    pass: createGate(requestsAtOnce),
  }
}
