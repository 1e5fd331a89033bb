import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { compareDue, compareIfDue, differenceOf } from '../../cli/public-archive.ts'
import { newNightRecord, type NightRecord } from '../../conductor/night-record.ts'
import type { PublicCount } from '../../conductor/public-count.ts'
import { nightRecordName, type Tick } from '../../conductor/tick.ts'
import { openArchive, type Member } from '../../consumer/files/members.ts'
import { openGround } from '../../local/broker.ts'
import { projectAlert } from '../../schemas/alert.ts'
import { simulateNight } from '../../simulator/night.ts'
import { tarEnd, tarMember } from '../../simulator/tar.ts'
import { dataDir, skipWithoutData } from '../data.ts'
import { runHere } from '../night/harness.ts'

const at = { survey: 'ztf', project: 'local' } as const
const night = '20261121'
const signal = new AbortController().signal

/** A public archive, with each packet under the name of its candid. */
const archiveOf = (packets: readonly Uint8Array[]): Buffer =>
  gzipSync(
    Buffer.concat([
      ...packets.map((data, n) => tarMember(`ztf_public/${n}.avro`, data, 1_800_000_000_000)),
      tarEnd,
    ]),
  )

test('nightjar conductor compare holds a night against its public archive', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-compare-'))
  const home = join(dir, 'home')
  const config = join(dir, 'nightjar.toml')
  const packets = new Map<string, Uint8Array>()
  let published: Buffer | undefined
  let cut = false
  let server: Server

  const compare = (...words: string[]) =>
    runHere(['conductor', 'compare', '--home', home, '--config', config, ...words])
  const compared = async (...words: string[]): Promise<PublicCount> =>
    JSON.parse((await compare('--night', night, '--json', ...words)).out) as PublicCount

  before(async () => {
    const made = await runHere([
      ...['simulate', '--out', join(dir, 'sky'), '--tar', '--alerts', '120', '--night', night],
    ])
    assert.equal(made.status, 0, made.err)
    const [tar = ''] = readdirSync(join(dir, 'sky')).filter((name) => name.endsWith('.tar.gz'))
    const taken = await runHere(['run', '--once', '--home', home, '--from', join(dir, 'sky', tar)])
    assert.equal(taken.status, 0, taken.err)
    const members = await openArchive(join(dir, 'sky', tar), signal)
    for await (const { data } of members ?? []) {
      try {
        if (data !== null) packets.set(String(projectAlert(data).candid), data)
      } catch {
        // A damaged one, which is in no archive.
      }
    }
    const record: NightRecord = {
      ...newNightRecord('ztf', night, { dusk: new Date(0), dawn: new Date(1) }, 0),
      state: 'complete',
      closed: { at: 1, state: 'complete', digest: 'ab', ends: [] },
    }
    const ground = await openGround(home, at)
    const store = await ground.bucket('broker_files')
    await store.replace(nightRecordName('ztf', night), Buffer.from(JSON.stringify(record)), null)
    await ground.close()
    server = createServer((request, response) => {
      if (published === undefined || request.url !== `/ztf_public_${night}.tar.gz`) {
        return response.writeHead(404).end()
      }
      return response.end(cut ? published.subarray(0, published.length / 2) : published)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    writeFileSync(
      config,
      `[streams.ztf]
survey = "ztf"
brokers = ["127.0.0.1:1"]
topics = ["ztf_{night}_programid1"]

[conductor.public]
archive = "http://127.0.0.1:${port}/ztf_public_{night}.tar.gz"
`,
    )
  })
  after(() => {
    server.close()
    rmSync(dir, { recursive: true })
  })

  await t.test('an archive that is not there yet is a sentence', async () => {
    const { out, status } = await compare('--night', night)
    assert.match(out, /ztf_public_20261121\.tar\.gz is not there yet \(HTTP 404\)\.\n$/)
    assert.equal(status, 1)
  })

  await t.test('the whole night in the archive is the same night', async () => {
    published = archiveOf([...packets.values()])
    const { out, status } = await compare('--night', night)
    assert.match(out, new RegExp(`^The same ${packets.size} alerts in http.*\\.\n$`))
    assert.equal(status, 0)
  })

  await t.test(
    'two that are gone from it and one that we have not are told by candid',
    async () => {
      const [first = '', second = ''] = packets.keys()
      const stranger = [
        ...simulateNight({
          night: '20261122',
          alerts: 3,
          seed: 'other',
          partitions: 1,
          duplicates: 0,
          late: 0,
          corrupt: 0,
          oldSchemas: 0,
          gaps: 0,
        }),
      ].flatMap(({ data }) => (data === undefined ? [] : [data]))[0]
      assert.ok(stranger)
      const kept = [...packets].filter(([candid]) => candid !== first && candid !== second)
      published = archiveOf([
        ...kept.map(([, data]) => data),
        // Twice in the archive is one alert.
        ...kept.slice(0, 3).map(([, data]) => data),
        stranger,
        Buffer.from('no packet'),
      ])
      const { difference } = await compared()
      assert.deepEqual(difference?.missing, {
        count: 1,
        candids: [String(projectAlert(stranger).candid)],
      })
      assert.deepEqual(difference.extra, {
        count: 2,
        candids: [first, second].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1)),
      })
      assert.deepEqual(
        [difference.archived, difference.ours, difference.unreadable.count],
        [packets.size - 1, packets.size, 1],
      )
      const { out, status } = await compare('--night', night)
      assert.equal(status, 1)
      assert.match(
        out,
        /: 1 there and not with us, 2 with us and not there; 1 of its files could not be read\.\n/,
      )
      assert.match(out, new RegExp(`\nWith us and not there:\n(  \\d+\n)*  ${first}\n`))
    },
  )

  await t.test('an archive that breaks off is no archive of fewer alerts', async () => {
    cut = true
    const count = await compared()
    cut = false
    assert.equal(count.state, 'failed')
    assert.equal(count.difference, undefined)
    assert.match(count.why ?? '', /^Cannot read archive "http.*": /)
  })

  await t.test('ticks try again in bounds, and no more once it is compared', async () => {
    const ground = await openGround(home, at)
    const store = await ground.bucket('broker_files')
    const found = await store.read(nightRecordName('ztf', night))
    const record = JSON.parse(Buffer.from(found?.data ?? []).toString()) as NightRecord
    await ground.close()
    let now = Date.now()
    const reopened: NightRecord = {
      ...record,
      closed: { at: 2, state: 'complete', digest: 'cd', ends: [] },
    }
    const world = {
      out() {},
      err() {},
      tty: false,
      columns: 100,
      env: {},
      now: () => new Date(now),
      signal,
      exit() {},
    }
    const due = async (of: NightRecord): Promise<string[]> => {
      const one: Tick = { outcome: 'done', record: of, why: '', done: [], left: [] }
      const told = await compareDue(world, { home, config, survey: 'ztf' }, [one])
      return told.map(({ count }) => count.state)
    }
    published = undefined
    assert.deepEqual(await due({ ...reopened, state: 'running' }), [])
    assert.deepEqual(await due(reopened), ['absent'])
    assert.deepEqual(await due(reopened), [], 'not at once')
    let tried = 1
    for (let hours = 0; hours < 100; hours++) {
      now += 3_600_000
      tried += (await due(reopened)).length
    }
    assert.equal(tried, 72)
    published = archiveOf([...packets.values()])
    assert.deepEqual(await due(reopened), [], 'never again')
    const later = { ...reopened, closed: { ...(reopened.closed ?? record.closed), digest: 'ef' } }
    assert.deepEqual(await due(later as NightRecord), ['compared'])
    now += 100 * 3_600_000
    assert.deepEqual(await due(later as NightRecord), [])
  })

  await t.test('of two at once one reads the archive', async () => {
    const ground = await openGround(home, at)
    const record = {
      ...newNightRecord('ztf', night, { dusk: new Date(0), dawn: new Date(1) }, 0),
      state: 'complete' as const,
    }
    const { port } = server.address() as AddressInfo
    const archive = `http://127.0.0.1:${port}/ztf_public_${night}.tar.gz`
    const options = { ground, record, archive, signal, now: () => new Date() }
    const both = await Promise.all([compareIfDue(options), compareIfDue(options)])
    await ground.close()
    assert.equal(both.filter((count) => count?.state === 'compared').length, 1)
    assert.equal(both.filter((count) => count === undefined).length, 1)
  })

  await t.test('without an archive in the configuration it says what to give', async () => {
    const { err, status } = await runHere([
      ...['conductor', 'compare', '--home', home, '--night', night],
    ])
    assert.equal(status, 2)
    assert.match(err, /no public archive is known; give --archive/)
  })
})

test(
  'a folder of real packets is the same night as their archive',
  { skip: skipWithoutData },
  async () => {
    const folder = join(dataDir, 'ztf/night-20180601-v1.8-ampel')
    const members = readdirSync(folder)
      .filter((name) => name.endsWith('.avro'))
      .map((name) => {
        const data = readFileSync(join(folder, name))
        return { name, modified: 0, data, size: data.length }
      })
    const candids = members.flatMap(({ name }) => /^(\d+)\.avro$/.exec(name)?.[1] ?? [])
    assert.ok(candids.length > 10)
    async function* all(): AsyncGenerator<Member> {
      yield* members
    }
    async function* ours(): AsyncGenerator<{ candid: bigint }> {
      for (const candid of candids.slice(1)) yield { candid: BigInt(candid) }
      yield { candid: 7n }
    }
    const found = await differenceOf(all(), ours())
    const unread = found.unreadable.names.map((name) => name.replace('.avro', ''))
    assert.deepEqual(
      found.missing.candids,
      candids.slice(0, 1).filter((candid) => !unread.includes(candid)),
    )
    assert.deepEqual(
      found.extra.candids.sort(),
      ['7', ...unread.filter((candid) => candid !== candids[0])].sort(),
    )
  },
)
