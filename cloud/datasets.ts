/** The connection to BigQuery of one project, shared by its data sets: REST, and gRPC to write rows. */
import { BigQuery } from '@google-cloud/bigquery'
import { managedwriter } from '@google-cloud/bigquery-storage'
import { credentials } from '@grpc/grpc-js'

import { createReady, type Ready } from './credentials.ts'

export interface DatasetsOptions {
  project: string
  /** Where queries run; the data sets' own location. */
  location?: string
  /** An emulator's REST and gRPC, each as `host:port`. Absent: the service itself. */
  emulator?: { rest: string; grpc: string }
}

export interface Datasets {
  project: string
  location: string | undefined
  bigquery: BigQuery
  writer: managedwriter.WriterClient
  ready: Ready
  close(): Promise<void>
}

/** Open the connection. Nothing is sent yet. */
export function openDatasets({ project, location, emulator }: DatasetsOptions): Datasets {
  const bigquery = new BigQuery({
    projectId: project,
    // One loop tries again for all services: cloud/retry.ts.
    autoRetry: false,
    maxRetries: 0,
    ...(location !== undefined && { location }),
    ...(emulator !== undefined && { apiEndpoint: `http://${emulator.rest}` }),
  })
  const [host = '', port = ''] = emulator?.grpc.split(':') ?? []
  const writer = new managedwriter.WriterClient({
    projectId: project,
    ...(emulator !== undefined && {
      apiEndpoint: host,
      port: Number(port),
      sslCreds: credentials.createInsecure(),
    }),
  })
  writer.enableWriteRetries(false)
  return {
    project,
    location,
    bigquery,
    writer,
    ready: createReady(project, emulator !== undefined),
    async close() {
      writer.close()
    },
  }
}
