/**
 * Avro, against fastavro and stock avsc on the same real packets in the same run: `make bench`. Needs
 * real packets (NIGHTJAR_DATA); without `make peers` there is nothing to compare with.
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'

import { projectAlert, readAlert, readAlertWithoutCutouts } from '../schemas/alert.ts'
import { headerOf, openContainer } from '../schemas/container.ts'
import { encodeDatum } from '../schemas/encode.ts'
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

type Command = 'read' | 'rewrite'

/** Reads or rewrites all packets once; resolves to microseconds a packet. */
type Peer = (command: Command) => Promise<number>

if (!existsSync(resolve(dataDir, folders[0] ?? ''))) {
  console.log(`bench/avro: no real packets in ${dataDir}, set NIGHTJAR_DATA`)
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

  const alerts = packets.map((packet) => readAlert(packet))

  const works = [
    work('decode, all fields', 'read', packets, readAlert),
    work('decode without cutouts', 'read', packets, readAlertWithoutCutouts),
    work('decode by avsc, mended, cached', 'read', [...legal.values()], avscRead),
    work('objectId, candid, jd, fid, ra, dec', 'read', packets, (packet) => projectAlert(packet)),
    work('encode, by avsc', undefined, alerts, ({ schema, record }) => encodeDatum(schema, record)),
    work('fix, indexes and header', 'rewrite', illegal, fixPacket),
    work('fix, header alone (the limit)', 'rewrite', illegal, swapHeader),
    work('trim cutouts', 'rewrite', packets, (packet) => trimPacket(packet)),
  ]
  const all = existsSync(python) ? await startPeer(paths) : undefined
  const some = all && (await startPeer(illegalPaths))
  const times = works.map((): number[] => [])
  const rivals = { read: [] as number[], rewrite: [] as number[] }
  for (let n = 0; n < repeats; n++) {
    if (all) rivals.read.push(await all.measure('read'))
    if (some) rivals.rewrite.push(await some.measure('rewrite'))
    works.forEach(({ run }, i) => times[i]?.push(run()))
  }
  all?.close()
  some?.close()

  const bytes = packets.reduce((sum, packet) => sum + packet.length, 0) / packets.length
  console.log(
    `${packets.length} real ZTF packets, mean ${(bytes / 1000).toFixed(1)} kB, ` +
      `median of ${repeats} runs (spread), one core, Node ${process.version}, ` +
      (all ? `fastavro ${all.version}` : 'without fastavro: run make peers'),
  )
  if (all) {
    row('fastavro reader', rivals.read, rivals.read)
    row('fastavro read and rewrite', rivals.rewrite, rivals.rewrite)
  }
  works.forEach(({ name, rival }, i) => row(name, times[i] ?? [], rival ? rivals[rival] : []))
}

/** One row of the table; `run` gives microseconds an input. */
function work<Input>(
  name: string,
  rival: Command | undefined,
  inputs: readonly Input[],
  once: (input: Input) => unknown,
): { name: string; rival: Command | undefined; run: () => number } {
  return { name, rival, run: () => measure(inputs, once) }
}

function measure<Input>(inputs: readonly Input[], once: (input: Input) => unknown): number {
  // Short works are repeated until a run takes 300 ms.
  let count = 0
  const began = performance.now()
  do {
    for (const input of inputs) once(input)
    count += inputs.length
  } while (performance.now() - began < 300)
  return ((performance.now() - began) / count) * 1000
}

function row(name: string, runs: readonly number[], rival: readonly number[]): void {
  const middle = median(runs)
  const spread = `${Math.min(...runs).toFixed(2)}–${Math.max(...runs).toFixed(2)}`
  console.log(
    name.padEnd(36) +
      `${middle.toFixed(2)} µs`.padStart(12) +
      `(${spread})`.padStart(20) +
      `${Math.round(1e6 / middle).toLocaleString('en')}/s`.padStart(14) +
      (rival.length > 0 ? `${(median(rival) / middle).toFixed(1)}×` : '').padStart(9),
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
