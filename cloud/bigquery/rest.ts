/** Calls of BigQuery's REST interface as they are: values come as text, so that none is rounded. */
import { promisify } from 'node:util'

import type { BigQuery } from '@google-cloud/bigquery'

export interface RestCall {
  method?: 'GET' | 'POST' | 'PATCH'
  /** Below `/projects/{project}`. */
  uri: string
  qs?: Record<string, string | number | boolean | undefined>
  json?: unknown
  headers?: Record<string, string>
}

/** Make one call. Rejects with the service's error, whose `code` is the HTTP status. */
export async function callRest<T>(bigquery: BigQuery, call: RestCall): Promise<T> {
  const request = promisify<object, T>((options, done) => {
    bigquery.request({ ...options, uri: call.uri }, (error, body) => {
      done(error, body as T)
    })
  })
  return request({ method: 'GET', ...call })
}
