import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'

import {
  controlMessage,
  formatMessage,
  parseMessage,
  replyTo,
  type ControlMessage,
} from '../../control/message.ts'
import {
  formatTimespec,
  integerParameter,
  parameterFault,
  timespecParameter,
} from '../../control/parameters.ts'
import { NightjarError } from '../../core/errors.ts'
import { createRandom } from '../../simulator/random.ts'
import { dataDir, skipWithout } from '../data.ts'

const vectors = resolve(dataDir, 'vectors')
const withoutVectors = skipWithout(vectors, 'set NIGHTJAR_DATA to a folder with the vectors')

const isInvalid = (error: unknown): boolean =>
  error instanceof NightjarError && error.code === 'input_invalid'

/** A message as the vectors describe it. */
function described({ from, to, command, parameters }: ControlMessage): string {
  const shown = [...parameters]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => ` {${name}=${value.replaceAll('\n', '<LF>').replaceAll('\r', '<CR>')}}`)
  const address = `from=${from.server}:${from.service} to=${to.server}:${to.service}`
  return `${address} cmd=${command}${shown.join('')}`
}

test(
  'E1: text is read and written as eventdispatcher does, vector by vector',
  { skip: withoutVectors },
  () => {
    const lines = readFileSync(resolve(vectors, 'ed_message_vectors.txt'), 'utf8').split('\n')
    let seen = 0
    for (const line of lines) {
      if (line === '') continue
      seen++
      const [, refused] = /^BAD \[(.*)\]$/s.exec(line) ?? []
      // The one that a reader from left to right can read, and should.
      if (refused === 'STOP a="q\\\\";b=1') {
        const message = parseMessage(refused)
        assert.deepEqual(
          [...message.parameters],
          [
            ['a', 'q\\'],
            ['b', '1'],
          ],
        )
      } else if (refused !== undefined) {
        assert.throws(() => parseMessage(refused), isInvalid, line)
      } else {
        const [, text = '', facts, written] =
          /^OK {2}\[(.*)\] (from=.*) => \[(.*)\]$/s.exec(line) ?? []
        const message = parseMessage(text)
        assert.equal(described(message), facts, line)
        assert.equal(formatMessage(message), written, line)
      }
    }
    assert.equal(seen, 57)
  },
)

test('parseMessage() reads the JSON form, with every digit of its numbers', () => {
  const message = parseMessage(
    '{"sent-from-server":"s","sent-from-service":"t","server":"u","service":"v","command":"SET",' +
      '"ignored":[1],"parameters":{"big":7428447997487423361,"neg":-35,"t":true,"n":null,"e":""}}',
  )
  assert.equal(
    formatMessage(message),
    '<s:t u:v/SET big=7428447997487423361;e=;n=null;neg=-35;t=true',
  )
})

test('parseMessage() refuses JSON that is no message, and keys that are no names', () => {
  for (const text of [
    '{',
    '{}',
    '{"command":"stop"}',
    '{"command":"STOP\\nSTOP"}',
    '{"command":"STOP","service":"a b"}',
    '{"command":"STOP","parameters":[]}',
    '{"command":"STOP","parameters":{"a":{}}}',
    '{"command":"STOP","parameters":{"a b":1}}',
    `{"command":${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
  ]) {
    assert.throws(() => parseMessage(text), isInvalid, text.slice(0, 60))
  }
})

test('a parameter called __proto__ is a parameter and nothing else', () => {
  for (const text of ['STOP __proto__=1', '{"command":"STOP","parameters":{"__proto__":"1"}}']) {
    assert.deepEqual([...parseMessage(text).parameters], [['__proto__', '1']])
  }
  assert.equal(Object.hasOwn(Object.prototype, '1'), false)
})

test('integers of 8 to 64 bits are exact, and refused beyond', () => {
  const message = parseMessage(
    'SET a=7428447997487423361;b=18446744073709551615;c=+101;d=-35;e=1.5',
  )
  assert.equal(integerParameter(message, 'a', 'int64'), 7428447997487423361n)
  assert.equal(integerParameter(message, 'b', 'uint64'), 2n ** 64n - 1n)
  assert.equal(integerParameter(message, 'c', 'int8'), 101n)
  assert.equal(integerParameter(message, 'd', 'int16'), -35n)
  assert.throws(() => integerParameter(message, 'b', 'int64'), isInvalid)
  assert.throws(() => integerParameter(message, 'd', 'uint32'), isInvalid)
  assert.throws(() => integerParameter(message, 'e', 'int32'), isInvalid)
  assert.throws(() => integerParameter(message, 'f', 'int32'), /it is absent/)
})

test('times are seconds and nanoseconds, exact', () => {
  const message = parseMessage('ALIVE timestamp=1700000000.000000001;bad=x')
  assert.equal(timespecParameter(message, 'timestamp'), 1_700_000_000_000_000_001n)
  assert.equal(formatTimespec(1_700_000_000_000_000_001n), '1700000000.000000001')
  assert.throws(() => timespecParameter(message, 'bad'), isInvalid)
})

test('parameterFault() says what is missing, forbidden, empty or of another type', () => {
  const rules = {
    must: { required: true },
    never: { forbidden: true },
    may: { empty: true },
    n: { type: 'integer' },
    where: { type: 'address' },
  } as const
  const fault = (text: string): string | undefined => parameterFault(parseMessage(text), rules)
  assert.equal(fault('X must=1;may=;n=5;where=127.0.0.1:4041'), undefined)
  assert.equal(fault('X must=1;where=[::1]:80'), undefined)
  assert.equal(fault('X'), 'parameter "must" is missing')
  assert.equal(fault('X must='), 'parameter "must" is empty')
  assert.equal(fault('X must=1;never=1'), 'parameter "never" is not allowed')
  assert.equal(fault('X must=1;n=five'), 'parameter "n" is no integer: "five"')
})

test('replyTo() turns the sender into the target', () => {
  const reply = replyTo(parseMessage('<a:b c:d/ALIVE'), 'ABSOLUTELY', { serial: 7n })
  assert.equal(formatMessage(reply), 'a:b/ABSOLUTELY serial=7')
})

test('controlMessage() checks every name', () => {
  assert.equal(
    formatMessage(controlMessage('STOP', { to: { server: '.', service: '*' } })),
    '.:*/STOP',
  )
  assert.throws(() => controlMessage('stop'), isInvalid)
  assert.throws(() => controlMessage('STOP', { to: { service: 'a b' } }), isInvalid)
  assert.throws(() => controlMessage('STOP', { parameters: { 'a-b': 1 } }), isInvalid)
})

test('whatever message is written is read back the same', () => {
  const random = createRandom('control messages')
  const pieces = ['\\', '"', ';', '=', '\n', '\r', ' ', 'a', 'é', '🔭', '\\n', ':', '/', '<', '{']
  const value = (): string =>
    `${Array.from({ length: random.whole(8) }, () => pieces[random.whole(pieces.length)]).join('')}.`
  for (let i = 0; i < 5000; i++) {
    const message = controlMessage('SET', { parameters: { a: value(), b: value() } })
    assert.deepEqual(parseMessage(formatMessage(message)), message)
  }
})

test('the parser takes or refuses 100,000 mangled messages, never anything else', () => {
  const random = createRandom('mangled messages')
  const seeds = [
    '<srv:svc dst:d/STOP a=1;b="x;y";c=l\\n',
    '{"command":"STOP","parameters":{"a":1,"b":[null]}}',
    'STOP __proto__="\\\\";constructor=é',
  ]
  const pieces = [
    '"',
    '\\',
    ';',
    '=',
    '<',
    ':',
    '/',
    ' ',
    '\n',
    '{',
    '}',
    '[',
    '\u0000',
    '🔭',
    '\ud800',
  ]
  let taken = 0
  for (let i = 0; i < 100_000; i++) {
    let text = seeds[i % seeds.length] ?? ''
    for (let edits = random.whole(4); edits >= 0; edits--) {
      const at = random.whole(text.length + 1)
      const piece = random.whole(4) === 0 ? '' : (pieces[random.whole(pieces.length)] ?? '')
      text = text.slice(0, at) + piece + text.slice(at + random.whole(3))
    }
    try {
      const message = parseMessage(text)
      taken++
      assert.ok(!formatMessage(message).includes('\n'))
      // What was taken once is taken again as it is written, and from then on stays.
      const again = formatMessage(parseMessage(formatMessage(message)))
      assert.equal(formatMessage(parseMessage(again)), again)
    } catch (error) {
      if (!isInvalid(error)) throw error
    }
  }
  assert.ok(taken > 1000 && taken < 99_000, String(taken))
})
