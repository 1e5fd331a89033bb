/**
 * A BigQuery that is as strict as its documentation where the emulator is not: the tables of a data set over
 * REST, and the Storage Write API's default stream. Rows are decoded by protobufjs, not by code of ours.
 *
 * - A table's schema only grows ("Modifying table schemas"): a change that drops or retypes a column is 400.
 * - A change with the etag of an older state is 412 (REST reference, "If-Match").
 * - A request has 10 MB at most ("Quotas and limits", Storage Write API).
 * - The first request of a connection names stream and schema (AppendRowsRequest).
 * - Fields that the table lacks are refused, for the whole request ("Schema updates").
 * - A row with a value out of range is named in `row_errors`, and no row of its request is stored
 *   (AppendRowsResponse).
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { TableField } from '@google-cloud/bigquery'
import protobuf from 'protobufjs'

import type { Descriptor } from '../../../cloud/bigquery/encoder.ts'
import { serve, status } from './grpc.ts'

export interface StandingTable {
  schema: { fields: TableField[] }
  timePartitioning?: { field?: string }
  clustering?: { fields?: string[] }
  labels?: Record<string, string>
  view?: { query: string }
  etag: string
}

interface AppendRequest {
  writeStream?: string
  protoRows?: {
    writerSchema?: { protoDescriptor?: Descriptor } | null
    rows?: { serializedRows?: Uint8Array[] } | null
  } | null
}

/** What happens to an append: it fails as a whole, the stream ends, or nobody answers. */
export type AppendFault = { error: Error } | { end: Error } | 'silence' | undefined

export interface BigqueryDouble {
  rest: string
  grpc: string
  tables: Map<string, StandingTable>
  rows: Map<string, Record<string, unknown>[]>
  /** Bytes of rows and number of rows, of each append that came. */
  appends: { bytes: number; rows: number }[]
  fault: () => AppendFault
  restFault: (line: string) => { status: number; reason: string; message: string } | undefined
  hasDataset: boolean
  stop(): void
}

const mostRequestBytes = 10_000_000

/** Start one, in this process, with one empty data set. */
export async function startBigqueryDouble(): Promise<BigqueryDouble> {
  let etags = 0
  const newEtag = (): string => `"${++etags}"`

  const server = createServer((incoming, outgoing) => {
    void (async () => {
      const body = await textOf(incoming)
      const { method = 'GET', url = '/', headers } = incoming
      const [code, answer] = rest(
        method,
        new URL(url, 'http://x').pathname,
        body,
        headers['if-match'],
      )
      outgoing.writeHead(code, { 'content-type': 'application/json' })
      outgoing.end(JSON.stringify(answer))
    })()
  })

  function rest(
    method: string,
    path: string,
    body: string,
    ifMatch: string | undefined,
  ): [number, unknown] {
    const fault = double.restFault(`${method} ${path}`)
    if (fault !== undefined) return refusal(fault.status, fault.reason, fault.message)
    const [, name] = /\/datasets\/[^/]+\/tables(?:\/([^/]+))?$/.exec(path) ?? []
    if (!double.hasDataset) return refusal(404, 'notFound', 'Not found: Dataset p:d')
    if (name === undefined && method === 'GET') {
      const tables = [...double.tables].map(([tableId, { labels }]) => ({
        tableReference: { tableId },
        labels,
      }))
      return [200, { tables }]
    }
    const sent = (body === '' ? {} : JSON.parse(body)) as Partial<StandingTable> & {
      tableReference?: { tableId: string }
    }
    if (name === undefined) return make(sent.tableReference?.tableId ?? '', sent)
    const standing = double.tables.get(name)
    if (standing === undefined) return refusal(404, 'notFound', `Not found: Table p:d.${name}`)
    if (method === 'GET') return [200, standing]
    if (ifMatch !== undefined && ifMatch !== standing.etag) {
      return refusal(412, 'conditionNotMet', 'Precondition check failed.')
    }
    const lost = sent.schema && lostField(standing.schema.fields, sent.schema.fields)
    if (lost !== undefined) {
      return refusal(400, 'invalid', `Provided Schema does not match Table p:d.${name}. ${lost}`)
    }
    Object.assign(standing, sent, { etag: newEtag() })
    return [200, standing]
  }

  function make(name: string, sent: Partial<StandingTable>): [number, unknown] {
    if (double.tables.has(name))
      return refusal(409, 'duplicate', `Already Exists: Table p:d.${name}`)
    const table = { schema: { fields: [] }, ...sent, etag: newEtag() }
    double.tables.set(name, table)
    double.rows.set(name, [])
    return [200, table]
  }

  function appendRows(call: ServerDuplexStream<AppendRequest, unknown>): void {
    let type: protobuf.Type | undefined
    let descriptor: Descriptor | undefined
    let stream: string | undefined
    call.on('end', () => call.end())
    call.on('error', () => {})
    call.on('data', (request: AppendRequest) => {
      stream ??= request.writeStream
      const rows = request.protoRows?.rows?.serializedRows ?? []
      const bytes = rows.reduce((sum, row) => sum + row.length, 0)
      double.appends.push({ bytes, rows: rows.length })
      const fault = double.fault()
      if (fault === 'silence') return
      if (fault !== undefined && 'end' in fault) return void call.emit('error', fault.end)
      const fail = (code: number, message: string): void =>
        void call.write({ error: { code, message }, writeStream: stream })
      if (fault !== undefined) {
        return fail((fault.error as { code?: number }).code ?? 2, fault.error.message)
      }
      const sent = request.protoRows?.writerSchema?.protoDescriptor
      if (sent) {
        descriptor = sent
        type = typeOf(sent)
        new protobuf.Root().add(type)
      }
      if (type === undefined || descriptor === undefined || !stream) {
        return fail(3, 'The first request of a connection must have write_stream and writer_schema')
      }
      const [, name = ''] = /\/tables\/([^/]+)\/streams\/_default$/.exec(stream) ?? []
      const table = double.tables.get(name)
      if (table === undefined) {
        return void call.emit('error', status(5, `Requested entity was not found: ${name}`))
      }
      if (bytes > mostRequestBytes) {
        return fail(3, `AppendRows request too large: ${bytes} limit ${mostRequestBytes}`)
      }
      const extra = extraField(table.schema.fields, descriptor)
      if (extra !== undefined) {
        return fail(
          3,
          `Input schema has more fields than BigQuery schema, extra fields: '${extra}'`,
        )
      }
      const decoded = rows.map((row) =>
        (type as protobuf.Type).toObject((type as protobuf.Type).decode(row), {
          longs: String,
          arrays: true,
        }),
      )
      const rowErrors = decoded.flatMap((row, index) => {
        const message = outOfRange(row, table.schema.fields)
        return message === undefined ? [] : [{ index: String(index), code: 1, message }]
      })
      if (rowErrors.length > 0) {
        const error = { code: 3, message: 'Errors found while processing rows.' }
        return void call.write({ error, rowErrors, writeStream: stream })
      }
      double.rows.get(name)?.push(...decoded)
      call.write({ appendResult: {}, writeStream: stream })
    })
  }

  const { host, stop } = await serve(
    [
      {
        package: '@google-cloud/bigquery-storage',
        path: 'google.cloud.bigquery.storage.v1.BigQueryWrite',
        handlers: { appendRows },
      },
    ],
    64 << 20,
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const double: BigqueryDouble = {
    rest: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    grpc: host,
    tables: new Map(),
    rows: new Map(),
    appends: [],
    fault: () => undefined,
    restFault: () => undefined,
    hasDataset: true,
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

/** Numbers of descriptor.proto's FieldDescriptorProto.Type. */
const protoTypes: Readonly<Record<number, string>> = {
  1: 'double',
  2: 'float',
  3: 'int64',
  5: 'int32',
  8: 'bool',
  9: 'string',
  12: 'bytes',
}

function typeOf({ name, field, nestedType }: Descriptor): protobuf.Type {
  const type = new protobuf.Type(name)
  for (const nested of nestedType) type.add(typeOf(nested))
  for (const { name: column, number, label, type: kind, typeName } of field) {
    const rule = label === 3 ? 'repeated' : 'optional'
    type.add(new protobuf.Field(column, number, typeName || protoTypes[kind] || '', rule))
  }
  return type
}

/** A column that stands and is not among the new ones as it was. */
function lostField(
  standing: readonly TableField[],
  wanted: readonly TableField[],
): string | undefined {
  for (const { name, type, mode, fields } of standing) {
    const same = wanted.find((field) => field.name === name)
    if (same === undefined) return `Field ${name} is missing in new schema`
    if (same.type !== type || (same.mode ?? 'NULLABLE') !== (mode ?? 'NULLABLE')) {
      return `Field ${name} has changed type`
    }
    const inner = lostField(fields ?? [], same.fields ?? [])
    if (inner !== undefined) return inner
  }
  return undefined
}

function extraField(
  fields: readonly TableField[],
  { field, nestedType }: Descriptor,
): string | undefined {
  for (const { name, typeName } of field) {
    const column = fields.find((known) => known.name === name)
    if (column === undefined) return name
    const nested = nestedType.find((inner) => inner.name === typeName)
    const inner: string | undefined = nested && extraField(column.fields ?? [], nested)
    if (inner !== undefined) return `${name}.${inner}`
  }
  return undefined
}

/** DATE and TIMESTAMP go from year 1 to 9999 ("Supported protocol buffer and Arrow data types"). */
function outOfRange(
  row: Record<string, unknown>,
  fields: readonly TableField[],
): string | undefined {
  for (const { name, type } of fields) {
    const value = row[name ?? '']
    if (value === undefined || (type !== 'DATE' && type !== 'TIMESTAMP')) continue
    const [least, most] =
      type === 'DATE' ? [-719162, 2932896] : [-62135596800000000, 253402300799999999]
    if (Number(value) < Number(least) || Number(value) > Number(most)) {
      return `Field ${name}: ${String(value)} is out of the range of ${type}`
    }
  }
  return undefined
}

async function textOf(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
