import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NightjarError } from '../../core/errors.ts'
import { projectAlert, readAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import { openContainer, splitContainer } from '../../schemas/container.ts'
import { readRecords } from '../../schemas/decode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { trimPacket } from '../../schemas/trim.ts'
import { skipWithoutData } from '../data.ts'
import { readSample } from './corpus.ts'
import { cpuTime } from './time.ts'

const skip = skipWithoutData

const bases = [
  'ztf/night-20181128-v3.2-fink-simulator/697251920015010010.avro',
  'ztf/night-20231012-v4.01-kowalski/2475433850015010009.avro',
  'ztf/night-20210720-v3.5-forcedphot-no-cutouts-ampel/1661382530015060001.avro',
  'ztf/spark-snappy-v3.0-3.3-alerce/000010510092392116.avro',
  'lsst/confluent-wire-format/7912941781254298.avro',
  'other-surveys/roman-rapid-boom/alert.avro',
  'avro-interop/apache-avro/share_test_data_weather-zstd.avro',
]

const readers = [
  (bytes: Uint8Array) => readAlert(bytes),
  (bytes: Uint8Array) => readAlertWithoutCutouts(bytes),
  (bytes: Uint8Array) => projectAlert(bytes),
  (bytes: Uint8Array) => fixPacket(bytes),
  (bytes: Uint8Array) => trimPacket(bytes),
  (bytes: Uint8Array) => splitContainer(bytes),
  (bytes: Uint8Array) => [...readRecords(openContainer(bytes))],
]

/** A small seeded generator (mulberry32), so that a failure can be met again. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** Error or value: never a hang, never an error of another class. True where it was a value. */
function survive(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array, what: string): boolean {
  let took = 0
  // The collector may stop the thread for longer; only what is slow three times is slow.
  for (let attempt = 0; attempt < 3; attempt++) {
    const began = cpuTime()
    const isRead = attemptRead(read, bytes, what)
    took = cpuTime() - began
    if (took < 50) return isRead
  }
  throw new Error(`${what} took ${took} ms`)
}

function attemptRead(read: (bytes: Uint8Array) => unknown, bytes: Uint8Array, what: string) {
  try {
    read(bytes)
    return true
  } catch (error) {
    if (error instanceof NightjarError) return false
    throw new Error(`${what}: ${String(error)}`, { cause: error })
  }
}

test('every reader survives 21,000 damaged packets', { skip }, () => {
  let refused = 0
  bases.forEach((file, i) => {
    const original = readSample(file)
    const pick = random(i + 1)
    const container = original[0] === 0 ? undefined : openContainer(original)
    const begin = container?.headerBytes ?? 5
    for (let n = 0; n < 3000; n++) {
      const bytes = original.slice()
      // Schemas are parsed anew when they change, so most of the damage goes into the data.
      const [from, size] =
        n % 25 === 0 ? [0, begin] : [begin, Math.min(bytes.length - begin, 12_000)]
      const flips = 1 + pick(3)
      for (let f = 0; f < flips; f++) {
        const at = from + pick(size)
        if (n % 3 === 0) bytes[at] = 0xff
        else if (n % 3 === 1) bytes.fill(0xff, at, at + 1 + pick(9))
        else bytes[at]! ^= 1 << pick(8)
      }
      const read = readers[n % readers.length]
      if (read && !survive(read, bytes, `${file} mutant ${n}`)) refused++
    }
  })
  assert(refused > 5000, `only ${refused} were refused`)
})

test('every reader refuses a packet that was cut short', { skip }, () => {
  for (const file of bases) {
    const original = readSample(file)
    const begin = original[0] === 0 ? 5 : openContainer(original).headerBytes
    const cuts = new Set([0, 1, 4, 5, 20, begin - 17, begin - 16, begin - 1, begin + 1, begin + 2])
    for (let n = 1; n <= 40; n++) cuts.add(original.length - n).add(begin + n * 7)
    for (const cut of cuts) {
      if (cut < 0 || cut >= original.length) continue
      const what = `${file} cut at ${cut}`
      const bytes = original.slice(0, cut)
      for (const read of readers) survive(read, bytes, what)
      assert(!survive((b) => readAlert(b), bytes, what), what)
    }
  }
})
