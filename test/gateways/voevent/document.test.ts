import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { XmlDocument, XsdValidator } from 'libxml2-wasm'

import { parseDocument } from '../../../gateways/voevent/document.ts'
import { identityOf } from '../../../gateways/voevent/identity.ts'
import { testEvent } from '../../../gateways/voevent/test-event.ts'
import { countedRole, escapeXml, formatTransport } from '../../../gateways/voevent/transport.ts'
import { dataDir, skipWithoutData } from '../../data.ts'
import { made } from './events.ts'

const headOf = (bytes: Uint8Array) => {
  using document = parseDocument(bytes)
  return document.head
}
const faultOf = (bytes: Uint8Array) => {
  using document = parseDocument(bytes)
  return document.fault()
}

test('a VOEvent is known by its root, and without a role it is an observation', () => {
  assert.deepEqual(headOf(made({ role: 'test' })), {
    kind: 'event',
    role: 'test',
    ivorn: 'ivo://org.example/stream#ev1',
  })
  const bare = Buffer.from(made().toString().replace(' role="observation"', ''))
  assert.equal(headOf(bare).role, 'observation')
})

test('UTF-8 with a mark, ISO-8859-1 and UTF-16 are read by what they declare', () => {
  const text = made({ body: '<Description>é</Description>' }).toString()
  const latin = Buffer.from(text.replace('UTF-8', 'ISO-8859-1'), 'latin1')
  const wide = Buffer.from(`\uFEFF${text.replace('UTF-8', 'UTF-16')}`, 'utf16le')
  for (const bytes of [Buffer.from(`\uFEFF${text}`), latin, wide]) {
    assert.equal(headOf(bytes).kind, 'event')
    assert.equal(faultOf(bytes), undefined)
  }
})

test('C30 entities are refused: billion laughs, quadratic blow-up, files, and any document type', () => {
  const lol = Array.from(
    { length: 9 },
    (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`,
  ).join('')
  const attacks = [
    `<!DOCTYPE x [<!ENTITY l0 "lol">${lol}]><VOEvent role="test" ivorn="ivo://a/b#c">&l9;</VOEvent>`,
    `<!DOCTYPE x [<!ENTITY a "${'a'.repeat(20_000)}">]><VOEvent role="test">${'&a;'.repeat(5000)}</VOEvent>`,
    `<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><VOEvent role="test">&f;</VOEvent>`,
    `<!DOCTYPE VOEvent SYSTEM "http://127.0.0.1:1/x.dtd"><VOEvent role="test"/>`,
    '<VOEvent role="test">&undefined;</VOEvent>',
  ]
  for (const attack of attacks) {
    const began = performance.now()
    assert.throws(() => headOf(Buffer.from(attack)), { code: 'input_invalid' }, attack.slice(0, 60))
    assert.ok(performance.now() - began < 1000)
  }
})

test('what is no event and no message of transport is refused', () => {
  for (const text of [
    '',
    'hello',
    '<VOEvent role="gossip"/>',
    '<x role="observation"/>',
    '<VOEvent/><VOEvent/>',
    '\0'.repeat(100),
    `${'<a>'.repeat(5000)}`,
  ]) {
    assert.throws(() => headOf(Buffer.from(text)), { code: 'input_invalid' }, text.slice(0, 30))
  }
})

test('C27 a fault is told in the words of libxml2, with its line', () => {
  assert.equal(faultOf(made()), undefined)
  assert.equal(
    faultOf(made({ body: '<Bogus/>' })),
    "Element 'Bogus': This element is not expected., line 2",
  )
  assert.match(
    faultOf(made({ version: '1.1' })) ?? '',
    /No matching global declaration available for the validation root/,
  )
})

test(
  'our schema and the published one give the same verdict on every event we have',
  { skip: skipWithoutData },
  () => {
    using published = XmlDocument.fromBuffer(
      readFileSync(join(dataDir, 'schemas/voevent/VOEvent-v2.0.xsd')),
    )
    using validator = XsdValidator.fromDoc(published)
    const folder = join(dataDir, 'voevent')
    let events = 0
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const path = join(folder, name)
      if (!statSync(path).isFile()) continue
      const bytes = readFileSync(path)
      // Held to its own schema below.
      if (bytes.includes('VOEvent/v2.1')) continue
      let ours: string | undefined
      try {
        using document = parseDocument(bytes)
        if (document.head.kind !== 'event') continue
        ours = document.fault()
      } catch {
        continue
      }
      using xml = XmlDocument.fromBuffer(bytes)
      let theirs: string | undefined
      try {
        validator.validate(xml)
      } catch (error) {
        theirs = String(error)
      }
      assert.equal(ours === undefined, theirs === undefined, `${name}: ${ours} | ${theirs}`)
      events++
    }
    assert.ok(events > 300, `${events}`)
  },
)

const located = (coords: string, system = '<AstroCoordSystem/>'): string =>
  '<WhereWhen><ObsDataLocation><ObservatoryLocation/><ObservationLocation>' +
  `${system}<AstroCoords coord_system_id="anything">${coords}</AstroCoords>` +
  '</ObservationLocation></ObsDataLocation></WhereWhen>'

const position = '<Value2><C1 ucd="pos.eq.ra">1</C1><C2 pos_unit="deg">2</C2></Value2>'

/** What VOEvent 2.1 has and 2.0 has not, right and wrong. */
const news: [string, boolean][] = [
  ['', true],
  [
    '<Who><Author><Contributor role="Editor" ivorn="ivo://a/b">A</Contributor></Author></Who>',
    true,
  ],
  ['<Who><Author><Contributor role="Boss">A</Contributor></Author></Who>', false],
  ['<Who><Author/></Who>', false],
  [located('<Time><TimeInterval><ISOTimeStart>a</ISOTimeStart></TimeInterval></Time>'), true],
  [located('<Time><TimeInstant/><TimeInterval/></Time>'), false],
  [located('<PositionName>M81</PositionName>'), true],
  [located(`<Position2D>${position}</Position2D>`), true],
  [located(`<Position2D>${position}<Error2><C1>1</C1></Error2></Position2D>`), true],
  [located('<Position2D><Value2><C1>x</C1><C2>2</C2></Value2></Position2D>'), false],
  [
    located('<Position3D><Value3><C1>1</C1><C2>2</C2><C3>3</C3></Value3><Error3/></Position3D>'),
    true,
  ],
  [located('<Position3D/>'), false],
  [
    located(
      '',
      '<AstroCoordSystem id="a"><TimeFrame id="t"><TimeScale>TDB</TimeScale></TimeFrame></AstroCoordSystem>',
    ),
    true,
  ],
  [
    located(
      '',
      '<AstroCoordSystem><SpaceFrame><CoordFlavor>SPHERICAL</CoordFlavor></SpaceFrame></AstroCoordSystem>',
    ),
    true,
  ],
  [located('', ''), false],
  ['<Citations><EventIVORN>ivo://a/b#c</EventIVORN></Citations>', true],
  ['<Citations><EventIVORN cite="praise">ivo://a/b#c</EventIVORN></Citations>', false],
  ['<Reference uri="a" type="any thing"/>', true],
  ['<Why/>', false],
  ['<What><Group/><Table><Data><TR><TD>1</TD></TR></Data></Table></What>', true],
]

test('C27 VOEvent 2.1 is taken by its own schema', () => {
  for (const [body, isValid] of news) {
    using document = parseDocument(made({ body, version: '2.1' }))
    assert.equal(document.fault() === undefined, isValid, `${body}: ${document.fault()}`)
  }
})

test(
  'our schema of 2.1 and the published one give the same verdict on every event, written as 2.1',
  { skip: skipWithoutData },
  () => {
    using published = XmlDocument.fromBuffer(
      readFileSync(join(dataDir, 'schemas/voevent/VOEvent-v2.1.xsd')),
    )
    using validator = XsdValidator.fromDoc(published)
    const folder = join(dataDir, 'voevent')
    const events = news.map(([body]) => made({ body, version: '2.1' }))
    for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!statSync(join(folder, name)).isFile()) continue
      const text = readFileSync(join(folder, name), 'latin1')
      const raised = text
        .replaceAll('xml/VOEvent/v2.0', 'xml/VOEvent/v2.1')
        .replace(/version=(["'])2\.0/, 'version=$12.1')
      events.push(Buffer.from(raised, 'latin1'))
    }
    let valid = 0
    let invalid = 0
    for (const bytes of events) {
      let ours: string | undefined
      try {
        using document = parseDocument(bytes)
        if (document.head.kind !== 'event') continue
        ours = document.fault()
      } catch {
        continue
      }
      using xml = XmlDocument.fromBuffer(bytes)
      let theirs: string | undefined
      try {
        validator.validate(xml)
      } catch (error) {
        theirs = String(error)
      }
      assert.equal(ours === undefined, theirs === undefined, `${bytes}: ${ours} | ${theirs}`)
      if (ours === undefined) valid++
      else invalid++
    }
    assert.ok(valid > 100 && invalid > 10, `${valid} valid, ${invalid} not`)
  },
)

test('messages of transport are what they were written as, and name filters in either form', () => {
  const at = new Date('2026-11-21T08:04:35.123Z')
  const bytes = formatTransport({
    role: 'nak',
    origin: 'ivo://a.b/c#d',
    response: 'ivo://o.e/x',
    result: 'a < b & "c"',
    at,
  })
  assert.deepEqual(headOf(bytes), {
    kind: 'transport',
    role: 'nak',
    origin: 'ivo://a.b/c#d',
    response: 'ivo://o.e/x',
    result: 'a < b & "c"',
    filters: [],
  })
  assert.match(bytes.toString(), /<TimeStamp>2026-11-21T08:04:35Z<\/TimeStamp>/)
  const asked = formatTransport({
    role: 'authenticate',
    origin: 'ivo://a.b/c',
    filters: ['//Who', '@x="<"'],
    at,
  })
  const head = headOf(asked)
  assert.deepEqual(head.kind === 'transport' && head.filters, ['//Who', '@x="<"'])
  const legacy = `<t:Transport xmlns:t="http://telescope-networks.org/xml/Transport/v1.1" role="authenticate" version="1.0"><Origin>ivo://a.b/c</Origin><TimeStamp>x</TimeStamp><Meta><filter type="xpath">//What</filter></Meta></t:Transport>`
  const old = headOf(Buffer.from(legacy))
  assert.deepEqual(old.kind === 'transport' && old.filters, ['//What'])
})

test(
  'every message we write is valid by the schema of transport',
  { skip: skipWithoutData },
  () => {
    const path = join(dataDir, 'schemas/voevent/transport-1.1.xsd')
    assert.ok(existsSync(path))
    using schema = XmlDocument.fromBuffer(readFileSync(path))
    using validator = XsdValidator.fromDoc(schema)
    const at = new Date()
    const origin = 'ivo://org.example/broker'
    for (const message of [
      formatTransport({ role: 'iamalive', origin, at }),
      formatTransport({ role: 'iamalive', origin, response: 'ivo://o.e/x', at }),
      formatTransport({ role: 'authenticate', origin, at }),
      formatTransport({ role: 'authenticate', origin, filters: [], at }),
      formatTransport({
        role: 'authenticate',
        origin,
        response: 'ivo://o.e/x',
        filters: ['//Who'],
        at,
      }),
      formatTransport({ role: 'ack', origin, response: 'ivo://o.e/x', at }),
      formatTransport({ role: 'nak', origin, result: 'no\nmore', at }),
    ]) {
      using document = XmlDocument.fromBuffer(message)
      validator.validate(document)
    }
  },
)

test('C18 the test event is valid, of role test, and named by its instant', () => {
  const bytes = testEvent('ivo://org.example/comet', new Date('2026-11-21T08:04:35.9Z'))
  assert.equal(faultOf(bytes), undefined)
  assert.deepEqual(headOf(bytes), {
    kind: 'event',
    role: 'test',
    ivorn: 'ivo://org.example/comet#TestEvent-2026-11-21T08:04:35Z',
  })
})

test('the identity of an event does not hang on what stands around its root; that of a payload does', () => {
  const root = '<VOEvent role="test" ivorn="ivo://a.b/c#d"></VOEvent>'
  const forms = [
    root,
    `\uFEFF<?xml version="1.0"?>\n<!-- <VOEvent> -->\n${root}\n`,
    `  <!--x-->${root}<!-- </VOEvent> --><?p </VOEvent>?>\n`,
  ].map((text) => Buffer.from(text))
  assert.equal(new Set(forms.map((bytes) => identityOf(bytes, 'event'))).size, 1)
  assert.equal(new Set(forms.map((bytes) => identityOf(bytes, 'payload'))).size, 3)
})

test('escapeXml() leaves nothing that ends an attribute or an element, and nothing XML cannot hold', () => {
  assert.equal(escapeXml('a<b>&"c"\n\0'), 'a&lt;b&gt;&amp;&quot;c&quot;&#10; ')
})

test('countedRole() knows acks and signs of life of every peer at a glance, and nothing else', () => {
  const at = new Date()
  const origin = 'ivo://org.example/x'
  for (const role of ['ack', 'iamalive'] as const) {
    assert.equal(countedRole(formatTransport({ role, origin, at })), role)
    // As pygcn writes it.
    const pygcn = `<?xml version='1.0' encoding='UTF-8'?><trn:Transport role="${role}" version="1.0" xmlns:trn="http://telescope-networks.org/schema/Transport/v1.1"><Origin>x</Origin></trn:Transport>`
    assert.equal(countedRole(Buffer.from(pygcn)), role)
  }
  assert.equal(countedRole(formatTransport({ role: 'nak', origin, at })), undefined)
  assert.equal(countedRole(formatTransport({ role: 'authenticate', origin, at })), undefined)
  assert.equal(countedRole(made()), undefined)
  for (const text of [
    '',
    '<Transport',
    '<Transport><x role="ack"/></Transport>',
    '<!-- <Transport role="ack"> --><y/>',
  ]) {
    assert.equal(countedRole(Buffer.from(text)), undefined, text)
  }
})
