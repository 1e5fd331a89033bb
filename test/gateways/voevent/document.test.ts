import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { XmlDocument, XsdValidator } from 'libxml2-wasm'

import { parseDocument } from '../../../gateways/voevent/document.ts'
import { identityOf } from '../../../gateways/voevent/identity.ts'
import { testEvent } from '../../../gateways/voevent/test-event.ts'
import { escapeXml, formatTransport } from '../../../gateways/voevent/transport.ts'
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
