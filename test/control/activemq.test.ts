import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import {
  createCommandEvent,
  createEvent,
  createLogEvent,
  createStatusEvent,
  eventOfMessage,
  filterableOf,
  messageOfEvent,
  publishedEvent,
  type ControlEvent,
} from '../../control/event.ts'
import { formatPayload, propertySet } from '../../control/payload.ts'
import { departuresOf, type NameFacts } from '../../control/selector/departures.ts'
import { parseSelector } from '../../control/selector/parser.ts'
import { propertySelector } from '../../control/selector/properties.ts'
import { nodesOf, type Expression } from '../../control/selector/tree.ts'
import { createRandom } from '../../simulator/random.ts'
import {
  connectStomp,
  skipWithoutActivemq,
  startActiveMq,
  type ActiveMq,
  type Frame,
  type Stomp,
} from './activemq.ts'
import { generateSelector, type KnownName } from './generate.ts'

const nowNs = 1_700_000_000_123_456_789n
const origin = { hostname: 'here', processId: 42, localId: 0 }
const destination = { hostname: 'there.org', processId: 7, localId: 3 }

/** What STOMP and ActiveMQ add to the headers of an event. */
const ofStomp = new Set([
  ...['destination', 'message-id', 'subscription', 'timestamp', 'expires', 'priority'],
  ...['persistent', 'content-length', 'content-type', 'receipt', 'ack', 'transformation'],
])

const eventOf = ({ headers, body }: Frame): ControlEvent =>
  eventOfMessage({
    attributes: Object.fromEntries([...headers].filter(([name]) => !ofStomp.has(name))),
    data: Buffer.from(body),
  })

/** One of each kind, with headers of every type and texts that need escapes. */
const events: ControlEvent[] = [
  createEvent({ nowNs, payload: propertySet({ one: 1, four: [5, 6, 7, 8], 'a.b': 'x' }) }),
  createStatusEvent({ nowNs: nowNs + 1n, origin, status: 'a:b\\c\nd', runId: 'r1' }),
  createCommandEvent({ nowNs, origin, destination, runId: 'r2' }),
  createLogEvent({ nowNs, origin, level: 'WARN', logger: 'night', message: 'hm; "é" 🔭' }),
  createEvent({
    nowNs,
    status: 'idle',
    filterable: propertySet({
      ...{ system: 'centos', version: 7, rb: 0.65, wide: 9_007_199_254_740_993n, good: true },
      small: { type: 'float', values: [Math.fround(0.1)] },
    }),
  }),
  createEvent({ nowNs, filterable: propertySet({ system: 'debian', version: -3, good: false }) }),
].map((event, at) => publishedEvent(event, { topic: 'events' }, nowNs + BigInt(at)))

suite('ActiveMQ', { skip: skipWithoutActivemq }, () => {
  let broker: ActiveMq
  let stomp: Stomp
  before(async () => {
    broker = await startActiveMq()
    stomp = await connectStomp(broker.stompPort)
  })
  after(async () => {
    stomp?.close()
    await broker?.close()
  })

  function send(where: string, event: ControlEvent): void {
    const { attributes, data } = messageOfEvent(event)
    stomp.send(where, attributes, Buffer.from(data).toString())
  }

  test('L15: an event that went through ActiveMQ by STOMP is the same, types and all', async () => {
    await stomp.subscribe('whole', '/topic/whole')
    for (const event of events) send('/topic/whole', event)
    for (const event of events) assert.deepEqual(eventOf(await stomp.next()), event)
    await stomp.unsubscribe('whole')
  })

  test('L15: a queue of ActiveMQ keeps our events until one takes each', async () => {
    for (const event of events) send('/queue/kept', event)
    await stomp.subscribe('kept', '/queue/kept')
    for (const event of events) assert.deepEqual(eventOf(await stomp.next()), event)
    await stomp.unsubscribe('kept')
  })

  test('L15: what ctrl_events sends by OpenWire, typed, is read as an event, its types as texts', async () => {
    await stomp.subscribe('typed', '/topic/typed')
    const payload = propertySet({ one: 1, big: nowNs, list: ['a', 'b'] })
    const body = formatPayload(payload)
    broker.sendTyped('topic typed', body, [
      ['TYPE', 'string', '_S'],
      ['EVENTTIME', 'long', String(nowNs)],
      ['ORIG_PROCESSID', 'int', '42'],
      ['PLOUGH', 'double', '0.867'],
      ['OK', 'bool', 'true'],
    ])
    const frame = await stomp.next()
    assert.equal(frame.body, body)
    const event = eventOf(frame)
    assert.deepEqual(event.payload, payload)
    assert.deepEqual(
      { ...filterableOf(event) },
      {
        ...{ TYPE: '_S', EVENTTIME: String(nowNs), ORIG_PROCESSID: '42' },
        ...{ PLOUGH: '0.867', OK: 'true' },
      },
    )
    await stomp.unsubscribe('typed')
  })

  for (const [way, typed] of [
    ['STOMP, as texts', false],
    ['OpenWire, typed', true],
  ] as const) {
    test(`L11, L15: the same selectors choose the same events in ActiveMQ and here, by ${way}`, async (t) => {
      const topic = typed ? 'chosen_typed' : 'chosen'
      const sendOne = (event: ControlEvent | undefined): void => {
        if (event === undefined && typed) broker.sendTyped(`topic ${topic}`, '', last)
        else if (event === undefined) stomp.send(`/topic/${topic}`, { last: 'yes' }, '')
        else if (typed) broker.sendTyped(`topic ${topic}`, '{}', typedOf(event))
        else send(`/topic/${topic}`, event)
      }
      let chosen = 0
      const asked = selectors(typed)
      for (const [at, text] of asked.entries()) {
        await stomp.subscribe(String(at), `/topic/${topic}`, text)
      }
      // One connection gets what it gets in order, and this one comes last of all.
      await stomp.subscribe('end', `/topic/${topic}`, "last = 'yes'")
      const theirs = asked.map((): string[] => [])
      for (const event of [...events, undefined]) sendOne(event)
      for (;;) {
        const { headers } = await stomp.next()
        const id = headers.get('subscription') ?? ''
        if (id === 'end') break
        if (headers.get('last') !== 'yes') theirs[Number(id)]?.push(headers.get('PUBTIME') ?? '')
      }
      for (const [at, text] of asked.entries()) {
        const { selects } = propertySelector(text)
        const ours = events.filter((event) => selects(filterableOf(event)))
        assert.deepEqual(
          theirs[at],
          ours.map(({ header }) => String(header.get('PUBTIME')?.values[0])),
          text,
        )
        chosen += ours.length
        await stomp.unsubscribe(String(at))
      }
      await stomp.unsubscribe('end')
      const judged = asked.length * events.length
      t.diagnostic(`${judged} verdicts agree, ${chosen} of them yes`)
      assert.ok(chosen > 50 && chosen < judged - 50)
    })
  }
})

type Typed = (readonly [name: string, type: string, value: string])[]

const last: Typed = [['last', 'string', 'yes']]

/** A header as JMS has it; a long of C++ is one of Java, too. */
const typedOf = ({ header }: ControlEvent): Typed =>
  [...header].map(([name, { type, values }]) => [
    name,
    type === 'long long' || type === 'datetime' ? 'long' : type,
    String(values[0]),
  ])

/** Selectors, of which ActiveMQ is known to think as we do. */
function selectors(typed: boolean): string[] {
  const random = createRandom('stomp selectors', process.env['NIGHTJAR_SEED'] ?? '1')
  const known = namesOf(events)
  const by = (name: string): NameFacts => {
    const kind = known.get(name)?.kind
    return kind === undefined || kind === 'none' ? {} : { kind }
  }
  const written = [
    ...["TYPE = '_C' AND DEST_HOSTNAME = 'there.org'", "RUNID IN ('r1', 'x')", 'LEVEL >= 30000'],
    ...["system = 'centos' AND version > 6", "STATUS LIKE 'a:b%'", 'good = TRUE'],
    ...['NOT (good = TRUE)', 'rb BETWEEN 0.6 AND 0.7', 'wide = 9007199254740993', 'nope IS NULL'],
    ...[`EVENTTIME > ${nowNs}`, `EVENTTIME = ${nowNs}`, 'ORIG_PROCESSID > 40', 'version < -2.5'],
  ]
  // Texts take no part in arithmetic: ActiveMQ then refuses the message to its sender.
  const reckoned = typed
    ? ['version * 2 - 1 = 13', 'ORIG_LOCALID >= 0 AND ORIG_LOCALID + 42 = ORIG_PROCESSID']
    : []
  // A text is converted to the type of the literal beside it: a long against 5, or 0.5 against 1, is false
  // whatever it is; and two texts are compared as texts.
  const names = [...known.values()].filter(
    ({ kind, values }) =>
      typed || (kind !== 'double' && values.every((value) => typeof value !== 'bigint')),
  )
  function isOfTexts(node: Expression): boolean {
    if (node.kind !== 'comparison' && node.kind !== 'between') return false
    const parts = [...nodesOf(node)]
    const compared = parts.flatMap((part) => (part.kind === 'name' ? [known.get(part.name)] : []))
    const isTrue = parts.some(({ kind }) => kind === 'boolean')
    return compared.length > 1 || (isTrue && compared.some((one) => one?.kind !== 'boolean'))
  }
  const generated = Array.from({ length: 600 }, (_, n) =>
    generateSelector({ random, names, depth: n % 3 }),
  ).filter((text) => {
    const { root } = parseSelector(text)
    const nodes = [...nodesOf(root)]
    if (nodes.some(({ kind }) => arithmetic.has(kind))) return false
    if (!typed && nodes.some(isOfTexts)) return false
    return departuresOf(parseSelector(text), by).length === 0
  })
  return [...written, ...reckoned, ...generated]
}

const arithmetic: ReadonlySet<string> = new Set(['arithmetic', 'sign'])

/** The headers of events: their kinds, and values that they have. */
function namesOf(all: readonly ControlEvent[]): Map<string, KnownName> {
  const found = new Map<string, KnownName>()
  for (const { header } of all) {
    for (const [name, { type, values }] of header) {
      const kind =
        type === 'string'
          ? 'text'
          : type === 'bool'
            ? 'boolean'
            : type === 'float' || type === 'double'
              ? 'double'
              : 'integer'
      const known = found.get(name) ?? { name, kind, values: [] }
      const more = values.filter((value) => typeof value !== 'boolean')
      found.set(name, { ...known, values: [...known.values, ...more] })
    }
  }
  return found
}
