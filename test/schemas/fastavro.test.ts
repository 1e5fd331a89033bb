import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import { test } from 'node:test'

import { isContainer, openContainer } from '../../schemas/container.ts'
import { readRecords } from '../../schemas/decode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { trimPacket } from '../../schemas/trim.ts'
import { peersDir, skipWithout, skipWithoutData } from '../data.ts'
import { readSample, readSamples } from './corpus.ts'
import { digestOf } from './digest.ts'

const python = resolve(peersDir, 'python/bin/python')
const script = resolve(import.meta.dirname, '../peers/fastavro_digest.py')
const skip = skipWithoutData || skipWithout(python, 'run make peers')

/** What fastavro makes of some packets, as digests. */
function fastavroDigests(packets: readonly Uint8Array[]): string[] {
  const folder = mkdtempSync(resolve(tmpdir(), 'nightjar-'))
  try {
    const paths = packets.map((bytes, i) => {
      const path = resolve(folder, `${i}.avro`)
      writeFileSync(path, bytes)
      return path
    })
    const output = execFileSync(python, [script], { input: paths.join('\n') })
    return output.toString().trim().split('\n')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('fixPacket() makes packets that fastavro reads to equal values', { skip }, () => {
  const samples = readSamples().filter(({ file }) => file.startsWith('ztf/'))
  const fixed = samples.flatMap(({ file, digest }) => {
    const { bytes, changed } = fixPacket(readSample(file))
    return changed > 0 ? [{ file, digest, bytes }] : []
  })
  const digests = fastavroDigests(fixed.map(({ bytes }) => bytes))
  fixed.forEach(({ file, digest }, i) => assert.equal(digests[i], digest, file))
  assert(fixed.length > 900)
})

test('trimPacket() makes packets that fastavro reads as we do', { skip }, () => {
  const files = readSamples().map(({ file }) => file)
  const some = files.filter((file, i) => /^(ztf|lsst)\//.test(file) && i % 10 === 0)
  const wire = files.filter((file) => !isContainer(readSample(file)))
  const packets = [...some, ...wire].map((file) => trimPacket(readSample(file)))
  const legal = packets.map((bytes) => fixPacket(bytes).bytes)
  const digests = fastavroDigests(legal)
  legal.forEach((bytes, i) => {
    assert.equal(digests[i], digestOf(readRecords(openContainer(bytes))), [...some, ...wire][i])
  })
})
