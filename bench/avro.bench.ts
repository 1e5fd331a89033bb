/**
 * Avro, against fastavro and stock avsc on the same real packets in the same run:
 * `node bench/avro.ts`. Needs real packets (NIGHTJAR_DATA) and `make peers`.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

import { projectAlert, readAlert, readAlertWithoutCutouts } from '../schemas/alert.ts'
import { headerOf, openContainer } from '../schemas/container.ts'
import { fixPacket } from '../schemas/fix.ts'
import { trimPacket } from '../schemas/trim.ts'
import { dataDir, peersDir } from '../test/data.ts'
import { avscType } from '../test/schemas/peer.ts'

const repeats = 7
const folders = [
  'ztf/night-20181128-v3.2-fink-simulator',
  'ztf/sn2021rhu-ZTF21abiuvdk-v3.3-pitt-google',
  'ztf/night-202002-v3.3-kowalski',
  'ztf/night-20231012-v4.01-kowalski',
]
const python = resolve(peersDir, 'python/bin/python')

type Work = (packet: Uint8Array) => unknown

/** Reads or rewrites all packets once; resolves to microseconds a packet. */
type Peer = (command: 'read' | 'rewrite') => Promise<number>

if (!existsSync(resolve(dataDir, folders[0] ?? ''))) {
  console.log(`bench/avro: no real packets in ${dataDir}, set NIGHTJAR_DATA`)
} else if (!existsSync(python)) {
  console.log('bench/avro: no fastavro, run make peers')
} else {
  await main()
}

async function main(): Promise<void> {
  const paths = folders.flatMap((folder) => {
    const names = readdirSync(resolve(dataDir, folder)).filter((name) => name.endsWith('.avro'))
    return names.slice(0, 100).map((name) => resolve(dataDir, folder, name))
  })
  const packets = paths.map((path) => new Uint8Array(readFileSync(path)))
  const legal = new Map(packets.map((packet) => [packet, fixPacket(packet).bytes]))
  const illegal = packets.filter((packet) => legal.get(packet) !== packet)
  const illegalPaths = paths.filter((_, i) => {
    const packet = packets[i]
    return packet !== undefined && illegal.includes(packet)
  })

  const works: [name: string, rival: 'read' | 'rewrite', packets: Uint8Array[], work: Work][] = [
    ['decode, all fields', 'read', packets, readAlert],
    ['decode without cutouts', 'read', packets, readAlertWithoutCutouts],
    ['decode by avsc, mended, cached', 'read', packets.map((p) => legal.get(p) ?? p), avscRead],
    ['objectId, candid, jd, fid, ra, dec', 'read', packets, (packet) => projectAlert(packet)],
    ['fix, indexes and header', 'rewrite', illegal, fixPacket],
    ['fix, header alone (the limit)', 'rewrite', illegal, swapHeader],
    ['trim cutouts', 'rewrite', packets, (packet) => trimPacket(packet)],
  ]
  const all = await startPeer(paths)
  const some = await startPeer(illegalPaths)
  const times = works.map((): number[] => [])
  const rivals = { read: [] as number[], rewrite: [] as number[] }
  for (let n = 0; n < repeats; n++) {
    rivals.read.push(await all.measure('read'))
    rivals.rewrite.push(await some.measure('rewrite'))
    works.forEach(([, , inputs, work], i) => times[i]?.push(measure(inputs, work)))
  }
  all.close()
  some.close()

  const bytes = packets.reduce((sum, packet) => sum + packet.length, 0) / packets.length
  console.log(
    `${packets.length} real ZTF packets, mean ${(bytes / 1000).toFixed(1)} kB, ` +
      `median of ${repeats} runs (spread), one core, Node ${process.version}, fastavro ${all.version}`,
  )
  const [read, rewrite] = [median(rivals.read), median(rivals.rewrite)]
  row('fastavro reader', rivals.read, read)
  row('fastavro read and rewrite', rivals.rewrite, rewrite)
  works.forEach(([name, rival], i) => row(name, times[i] ?? [], rival === 'read' ? read : rewrite))
}

function measure(packets: readonly Uint8Array[], work: Work): number {
  // Short works are repeated until a run takes about 100 ms.
  let count = 0
  const began = performance.now()
  do {
    for (const packet of packets) work(packet)
    count += packets.length
  } while (performance.now() - began < 300)
  return ((performance.now() - began) / count) * 1000
}

function row(name: string, runs: readonly number[], rival: number): void {
  const middle = median(runs)
  const spread = `${Math.min(...runs).toFixed(2)}–${Math.max(...runs).toFixed(2)}`
  console.log(
    name.padEnd(36) +
      `${middle.toFixed(2)} µs`.padStart(12) +
      `(${spread})`.padStart(20) +
      `${Math.round(1e6 / middle).toLocaleString('en')}/s`.padStart(14) +
      `${(rival / middle).toFixed(1)}×`.padStart(9),
  )
}

function median(runs: readonly number[]): number {
  return runs.toSorted((a, b) => a - b)[runs.length >> 1] ?? NaN
}

function avscRead(packet: Uint8Array): unknown {
  const { schema, headerBytes, blockAt } = openContainer(packet)
  const data = blockAt(headerBytes)?.data ?? new Uint8Array()
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return avscType(schema.text).fromBuffer(bytes)
}

function swapHeader(packet: Uint8Array): Uint8Array {
  const { bytes, schemaAt } = headerOf(packet)
  const copy = new Uint8Array(packet)
  copy.set(bytes.subarray(schemaAt), schemaAt)
  return copy
}

async function startPeer(
  paths: readonly string[],
): Promise<{ version: string; measure: Peer; close: () => void }> {
  const script = resolve(import.meta.dirname, 'avro_peer.py')
  const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const answer = async () => String((await lines.next()).value)
  child.stdin.write(`${paths.join('\n')}\n\n`)
  const version = await answer()
  return {
    version,
    measure: async (command) => {
      child.stdin.write(`${command}\n`)
      return Number(await answer())
    },
    close: () => child.stdin.end(),
  }
}
