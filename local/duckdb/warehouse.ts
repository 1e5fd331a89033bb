/**
 * One DuckDB file and the one instance that this process has of it, shared by all tables that are
 * open on it. DuckDB lets one process at a time write a file, and its locks do not guard against a
 * second instance in the same process, so the instances are counted here.
 */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'

import { NightjarError } from '../../core/errors.ts'
import { createCatalog } from './catalog.ts'
import type { Catalog } from './catalog.ts'
import { literal } from './columns.ts'
import { engineSentence, isFatal } from './faults.ts'
import { slim } from './slim.ts'

export interface WarehouseOptions {
  file: string
  memoryLimitMb?: number
  threads?: number
  readOnly?: boolean
  /** How long to wait for another process that has the file open, milliseconds; not at all if absent. */
  patienceMs?: number
}

export interface Reader {
  connection: DuckDBConnection
  close(): void
}

export interface Warehouse {
  /** A connection of the caller's own. */
  reader(): Promise<Reader>
  /** Run work on the one connection that writes, alone: transactions never conflict. */
  exclusive<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T>
  /** The catalog of a data set; the first to ask decides which routines it has. */
  catalog(dataset: string, routines?: readonly string[]): Catalog
  /** Give the warehouse back. The last one to do so has it checkpointed and closed. */
  release(): Promise<void>
}

/** The name that the file has inside the instance. */
export const catalogName = 'nightjar'

/**
 * Rows per row group of the file: the least that DuckDB allows. A batch of as many goes to the file
 * as it is, without the write-ahead log and a second copy, at half the cost; and a checkpoint, which
 * writes the last unfilled group anew, has little to write. Its own 122,880 are a gigabyte of alerts.
 */
export const rowGroupRows = 2048

/**
 * Bytes of a block. A row group of alerts has some 400 column segments that each want a block while
 * it is written; with blocks of DuckDB's own 256 KiB they do not fit into the memory allowed.
 */
const blockBytes = 32_768

/** Write-ahead log at which a commit checkpoints; as much is in memory and is read again at start. */
const checkpointBytes = '64MB'

interface Entry {
  warehouse: Promise<Warehouse>
  holders: number
}

const entries = new Map<string, Entry>()
const closings = new Map<string, Promise<void>>()

/** The warehouse of a file: the one that is open in this process, or a new one. */
export async function acquireWarehouse(options: WarehouseOptions): Promise<Warehouse> {
  const file = resolve(options.file)
  while (closings.has(file)) await closings.get(file)

  const entry = entries.get(file) ?? { warehouse: openWarehouse({ ...options, file }), holders: 0 }
  entries.set(file, entry)
  entry.holders++
  try {
    const warehouse = await entry.warehouse
    let held = true
    return {
      ...warehouse,
      async release() {
        if (!held) return
        held = false
        if (--entry.holders > 0) return
        entries.delete(file)
        const closing = warehouse.release()
        closings.set(
          file,
          closing.catch(() => undefined).then(() => void closings.delete(file)),
        )
        await closing
      },
    }
  } catch (error) {
    if (--entry.holders === 0) entries.delete(file)
    throw error
  }
}

async function openWarehouse(options: WarehouseOptions): Promise<Warehouse> {
  let instance: Promise<DuckDBInstance> | undefined = openInstance(options)
  let writer: DuckDBConnection | undefined
  let last: Promise<unknown> = Promise.resolve()
  let readers = 0
  const catalogs = new Map<string, Catalog>()
  await instance

  async function connect(): Promise<DuckDBConnection> {
    instance ??= openInstance(options)
    const connection = await (await instance).connect()
    await connection.run(`USE ${catalogName}`)
    return connection
  }

  async function run<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    writer ??= await connect()
    try {
      const result = await work(writer)
      if (readers === 0) await slim(writer, memoryLimit(options))
      return result
    } catch (error) {
      if (isFatal(error)) await abandon()
      throw error
    }
  }

  async function detach(): Promise<void> {
    const connection = await (await instance)?.connect()
    await connection?.run(`DETACH ${catalogName}`)
    connection?.closeSync()
  }

  async function abandon(): Promise<void> {
    const abandoned = await instance
    writer?.closeSync()
    writer = undefined
    instance = undefined
    catalogs.clear()
    abandoned?.closeSync()
  }

  function exclusive<T>(work: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
    const turn = last.then(() => run(work))
    last = turn.catch(() => undefined)
    return turn
  }

  return {
    async reader() {
      readers++
      const connection = await connect().catch((error: unknown) => {
        readers--
        throw error
      })
      return {
        connection,
        close() {
          readers--
          // A statement that is left before its end would go on.
          connection.interrupt()
          connection.closeSync()
        },
      }
    },
    exclusive,
    catalog(dataset, routines) {
      const catalog = catalogs.get(dataset) ?? createCatalog(dataset, routines)
      catalogs.set(dataset, catalog)
      return catalog
    },
    async release() {
      await last
      try {
        if (options.readOnly !== true) await exclusive((connection) => connection.run('CHECKPOINT'))
      } finally {
        // A result that was not read to its end holds the instance until it is collected; the file must
        // not wait for that, since another process may want it now.
        await detach().catch(() => undefined)
        // What could not be checkpointed is in the write-ahead log.
        await abandon()
      }
    },
  }
}

function memoryLimit({ memoryLimitMb = 256 }: WarehouseOptions): string {
  return `${memoryLimitMb}MB`
}

/** Who only asks something has the file open for a moment. */
const retryMs = 100

async function openInstance(options: WarehouseOptions): Promise<DuckDBInstance> {
  const { patienceMs = 0 } = options
  for (const end = performance.now() + patienceMs; ;) {
    try {
      return await attach(options)
    } catch (error) {
      const held = error instanceof NightjarError && error.code === 'home_busy'
      if (!held || performance.now() >= end) throw error
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}

async function attach(options: WarehouseOptions): Promise<DuckDBInstance> {
  const { file, threads = 2, readOnly = false } = options
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: memoryLimit(options),
    threads: String(threads),
    preserve_insertion_order: 'false',
    wal_autocheckpoint: checkpointBytes,
    temp_directory: `${file}.tmp`,
    autoinstall_known_extensions: 'false',
  })
  const connection = await instance.connect()
  try {
    const how = readOnly
      ? 'READ_ONLY'
      : `ROW_GROUP_SIZE ${rowGroupRows}${existsSync(file) ? '' : `, BLOCK_SIZE ${blockBytes}`}`
    await connection.run(`ATTACH ${literal(file)} AS ${catalogName} (${how})`)
    return instance
  } catch (cause) {
    connection.closeSync()
    instance.closeSync()
    throw openFault(file, cause)
  } finally {
    connection.closeSync()
  }
}

function openFault(file: string, cause: unknown): NightjarError {
  const said = engineSentence(cause)
  const holder = /Conflicting lock is held.*\(PID (\d+)\)/.exec(said)?.[1]
  return holder === undefined
    ? new NightjarError('home_unusable', `Cannot open the warehouse "${file}": ${said}`, { cause })
    : new NightjarError(
        'home_busy',
        `Cannot open the warehouse "${file}": process ${holder} has it open`,
        { cause },
      )
}
