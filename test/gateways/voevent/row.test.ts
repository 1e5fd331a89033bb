import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { voeventRow } from '../../../gateways/voevent/row.ts'
import { parseDocument } from '../../../gateways/voevent/document.ts'
import { testEvent } from '../../../gateways/voevent/test-event.ts'
import { openTable } from '../../../local/table.ts'
import { dataDir, skipWithoutData } from '../../data.ts'
import { made } from './events.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-voevents-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const located = (unit: string): string => `
<Who><AuthorIVORN>ivo://org.example/author</AuthorIVORN><Date>2026-11-21T04:05:06</Date></Who>
<WhereWhen><ObsDataLocation><ObservatoryLocation id="Palomar"/><ObservationLocation>
<AstroCoordSystem id="UTC-ICRS-TOPO"/><AstroCoords coord_system_id="UTC-ICRS-TOPO">
<Time unit="s"><TimeInstant><ISOTime>2026-11-21T04:00:00.5</ISOTime></TimeInstant></Time>
<Position2D unit="${unit}"><Name1>RA</Name1><Name2>Dec</Name2><Value2><C1>148.8</C1><C2>-69.1</C2></Value2>
<Error2Radius>0.01</Error2Radius></Position2D></AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>
<Citations><EventIVORN cite="followup">ivo://org.example/a#1</EventIVORN>
<EventIVORN cite="supersedes">ivo://org.example/a#2</EventIVORN></Citations>
<Description>A flash</Description>`

const attributes = {
  identity: 'abc',
  source: 'receive',
  peer: '127.0.0.1:4',
  received_at: '2026-11-21T05:00:00.000Z',
}

test('an event becomes a row with its author, place, time and citations', () => {
  const data = made({ body: located('deg') })
  const { values } = voeventRow({ data, attributes })
  assert.deepEqual(values, {
    identity: 'abc',
    ivorn: 'ivo://org.example/stream#ev1',
    role: 'observation',
    version: '2.0',
    author_ivorn: 'ivo://org.example/author',
    date: BigInt(Date.parse('2026-11-21T04:05:06Z')) * 1000n,
    received_at: BigInt(Date.parse('2026-11-21T05:00:00Z')) * 1000n,
    source: 'receive',
    peer: '127.0.0.1:4',
    coord_system: 'UTC-ICRS-TOPO',
    ra: 148.8,
    dec: -69.1,
    error: 0.01,
    isotime: '2026-11-21T04:00:00.5',
    description: 'A flash',
    citations: [
      { ivorn: 'ivo://org.example/a#1', cite: 'followup' },
      { ivorn: 'ivo://org.example/a#2', cite: 'supersedes' },
    ],
    xml: data,
  })
})

test('what an event does not say is null, and a place that is not in degrees is not taken for one', () => {
  const bare = voeventRow({ data: made(), attributes: {} }).values
  assert.deepEqual(
    [bare['ra'], bare['date'], bare['peer'], bare['citations']],
    [null, null, null, []],
  )
  assert.match(String(bare['identity']), /^[0-9a-f]{40}$/)
  assert.equal(
    voeventRow({ data: made({ body: located('rad') }), attributes: {} }).values['ra'],
    null,
  )
})

test('what is no event is refused for good', () => {
  for (const text of ['', 'alert', '<a/>']) {
    const data = Buffer.from(text)
    assert.throws(() => voeventRow({ data, attributes: {} }), { code: 'input_invalid' })
  }
})

test(
  'every event of the field that parses can be stored, once',
  { skip: skipWithoutData },
  async () => {
    const table = await openTable({ file: join(dir, 'w.duckdb'), dataset: 'ztf_alerts' })
    const events = [testEvent('ivo://org.nightjar/broker', new Date())]
    const folder = join(dataDir, 'voevent')
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!statSync(join(folder, name)).isFile()) continue
      const bytes = readFileSync(join(folder, name))
      try {
        using document = parseDocument(bytes)
        if (document.head.kind === 'event') events.push(bytes)
      } catch {
        continue
      }
    }
    const outcomes = await Promise.all(
      [...events, ...events].map((data) => table.append(voeventRow({ data, attributes: {} }))),
    )
    const sql = `SELECT count(*)::INT AS stored, count(ra)::INT AS placed,
      max(len(citations))::INT AS cited FROM voevents`
    let row: Record<string, unknown> = {}
    for await (const one of table.query(sql)) row = one
    await table.close()
    assert.equal(row['stored'], outcomes.filter((outcome) => outcome === 'stored').length)
    assert.ok(
      Number(row['stored']) > 300 && Number(row['placed']) > 100 && Number(row['cited']) > 0,
    )
  },
)
