/**
 * Fuzzing of the control plane: messages, payloads and selectors with something put wrong, tables of a
 * dispatcher against a model that walks them plainly, and whole programs that are told nonsense.
 *
 *     node test/control/fuzz.ts --inputs 1000000 [--seed 1]
 */
import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { parseArgs } from 'node:util'

import { converse } from '../../control/conversation.ts'
import { createDispatcher, priorities, type Entry } from '../../control/dispatcher.ts'
import { createLineReader, type Line } from '../../control/lines.ts'
import {
  controlMessage,
  formatMessage,
  maxMessageBytes,
  parseMessage,
  type ControlMessage,
} from '../../control/message.ts'
import { formatPayload, parsePayload, propertySet } from '../../control/payload.ts'
import { createControlledProgram } from '../../control/program.ts'
import { parseSelector } from '../../control/selector/parser.ts'
import { NightjarError } from '../../core/errors.ts'
import { random } from '../gateways/hpfeeds/fuzz.ts'

type Random = (below: number) => number

export interface FuzzReport {
  inputs: number
  /** Inputs that were read, and that were refused. */
  taken: number
  refused: number
  /** Messages that went through dispatchers, and programs that were told nonsense. */
  dispatched: number
  programs: number
  /** The longest that one input took, milliseconds. */
  slowestMs: number
  seconds: number
}

const pieces = [
  ...['"', '\\', ';', '=', '<', ':', '/', ' ', '\n', '\r', '\0', '{', '}', '[', ']', ',', '.'],
  ...[
    "'",
    '(',
    ')',
    '-',
    '%',
    '_',
    '0',
    '9',
    'é',
    '\u{1F52D}',
    '\ud800',
    '__proto__',
    'constructor',
  ],
  ...['a=1;', '"int":', '{"a":', ' AND ', 'NOT ', ' ESCAPE ', '--', '/*', '1e999', '9'.repeat(30)],
]

const pick = <T>(next: Random, from: readonly T[]): T => from[next(from.length)] as T

const names = ['a', 'Z9', '_', '__proto__', 'constructor', 'toString', 'hasOwnProperty']
const commands = ['STOP', 'ALIVE', 'X', 'X1', 'X22', '__PROTO__', 'HELP']

const valueOf = (next: Random): string =>
  Array.from({ length: next(6) }, () => pick(next, pieces)).join('')

/** A message that is right. */
function anyMessage(next: Random): ControlMessage {
  const name = (): string => pick(next, ['', '.', '*', ...names])
  return controlMessage(pick(next, commands), {
    from: { server: name(), service: name() },
    to: { server: name(), service: name() },
    parameters: Object.fromEntries(
      Array.from({ length: next(4) }, () => [pick(next, names), valueOf(next)]),
    ),
  })
}

const seeds: readonly ((next: Random) => string)[] = [
  (next) => formatMessage(anyMessage(next)),
  () => '{"command":"STOP","service":"a","parameters":{"n":12345678901234567890,"__proto__":"1"}}',
]

const payloads: readonly string[] = [
  formatPayload(
    propertySet({ one: 1, four: [5, 6], 'a.b.c': 'x"/\\', t: true, d: 1e300, l: 2n ** 60n }),
  ),
  '{"__proto__":{"int":"1"},"a":{"float":"nan","float":"inf"}}',
]

const selectors: readonly string[] = [
  "TYPE = '_S' AND (rb > 0.65 OR NOT fid IN ('a', 'b')) AND name LIKE 'x!%%' ESCAPE '!'",
  'a BETWEEN -1 AND 2 * (b + 3e5) AND c IS NOT NULL AND t = TRUE /* why */ AND cone(1, 2, 3)',
]

/** Put something wrong into a text: a piece in, a piece out, or much of one thing. */
function spoil(text: string, next: Random): string {
  let spoiled = text
  for (let edits = next(4); edits > 0; edits--) {
    const at = next(spoiled.length + 1)
    const many = next(200) === 0 ? 1 + next(70_000) : 1
    const piece = next(4) === 0 ? '' : pick(next, pieces)
    const times = Math.min(many, Math.ceil(100_000 / (piece.length || 1)))
    spoiled = spoiled.slice(0, at) + piece.repeat(times) + spoiled.slice(at + next(4))
  }
  return spoiled
}

/** True where it is read, false where it is refused by a sentence; all else is thrown. */
function isTaken(read: () => void, refusal?: RegExp, mostSaid = 1000): boolean {
  try {
    read()
    return true
  } catch (error) {
    if (!(error instanceof NightjarError) || error.code !== 'input_invalid') throw error
    if (refusal !== undefined) assert.match(error.message, refusal)
    // Whatever came in, what is said of it is no longer than a terminal bears.
    assert.ok(error.message.length < mostSaid, `${error.message.length} characters are said`)
    return false
  }
}

function readMessage(text: string): void {
  const message = parseMessage(text)
  assert.ok(message.parameters instanceof Map)
  const written = formatMessage(message)
  assert.ok(!written.includes('\n'))
  // What was taken once is taken again as it is written, and from then on stays.
  const again = formatMessage(parseMessage(written))
  assert.equal(formatMessage(parseMessage(again)), again)
}

function readPayload(text: string): void {
  const written = formatPayload(parsePayload(text))
  assert.equal(formatPayload(parsePayload(written)), written)
}

/** One text of one kind. */
function readOne(next: Random, i: number): boolean {
  switch (i % 4) {
    case 0:
      return isTaken(() => readPayload(spoil(pick(next, payloads), next)))
    case 1: {
      const text = spoil(pick(next, selectors), next)
      return isTaken(
        () => parseSelector(text),
        /column \d+|at most \d+ characters|nests deeper/,
        40_000,
      )
    }
    default: {
      const text = spoil(pick(next, seeds)(next), next)
      // The text form is one line of columns; of JSON, and of what is too long, there is more to say.
      const hasColumns = !/^\s*\{/.test(text) && text.trim() !== '' && text.length < maxMessageBytes
      return isTaken(() => readMessage(text), hasColumns ? /column \d+/ : undefined)
    }
  }
}

/** Lines come to the same however they are cut. */
function cutLines(next: Random): void {
  const bytes = Buffer.from(
    Array.from({ length: next(8) }, () => `${spoil('STOP a=1', next).slice(0, 300)}\n`).join(''),
    next(2) === 0 ? 'utf8' : 'latin1',
  )
  const most = 100
  const whole = createLineReader(most)(bytes)
  const feed = createLineReader(most)
  const cut: Line[] = []
  for (let at = 0; at < bytes.length;) {
    const size = 1 + next(20)
    cut.push(...feed(bytes.subarray(at, at + size)))
    at += size
  }
  assert.deepEqual(cut, whole)
}

const kinds = ['takes', 'looks_on', 'always', 'always_looks_on'] as const

interface Modelled {
  id: number
  expression: string | RegExp
  match: (typeof kinds)[number]
  priority: number
  tag: string
}

/** A dispatcher beside a plain model of it. */
async function dispatchTables(next: Random): Promise<number> {
  const ran: number[] = []
  const dispatcher = createDispatcher<undefined>()
  let model: Modelled[] = []
  let dispatched = 0
  for (let id = 0; id < 12; id++) {
    const one: Modelled = {
      id,
      expression: pick<string | RegExp>(next, [...commands, /X\d*/g, /STOP|AL/y, /[A-Z]+/]),
      match: kinds[next(10)] ?? 'takes',
      priority: next(18) - 1,
      tag: pick(next, ['a', 'b', '__proto__']),
    }
    const hasAlways = model.some(({ match }) => match === 'always')
    const isLegal =
      one.priority >= 0 && one.priority <= priorities.most && !(one.match === 'always' && hasAlways)
    const entry: Entry<undefined> = { ...one, run: () => void ran.push(id) }
    if (isLegal) {
      dispatcher.add(entry)
      model.push(one)
    } else {
      assert.throws(() => dispatcher.add(entry), { code: 'config_invalid' })
    }
    if (next(8) === 0) {
      const tag = pick(next, ['a', 'b', '__proto__', 'none'])
      const left = model.filter((other) => other.tag !== tag)
      assert.equal(dispatcher.remove(tag), model.length - left.length)
      model = left
    }
    const message = anyMessage(next)
    const wanted = walk(model, message.command)
    assert.equal(await dispatcher.dispatch(message, undefined), wanted.length > 0)
    assert.deepEqual(ran.splice(0), wanted)
    dispatched++
  }
  return dispatched
}

/** Who runs for a command, in order. */
function walk(model: readonly Modelled[], command: string): number[] {
  const ran: number[] = []
  for (let priority = 0; priority <= priorities.most; priority++) {
    for (const one of model) {
      if (one.priority !== priority || one.match === 'always') continue
      const fits =
        one.match === 'always_looks_on' ||
        (typeof one.expression === 'string'
          ? one.expression === command
          : new RegExp(`^(${one.expression.source})$`).test(command))
      if (!fits) continue
      ran.push(one.id)
      if (one.match === 'takes') return ran
    }
  }
  const last = model.find(({ match }) => match === 'always')
  return ran.length > 0 || last === undefined ? ran : [last.id]
}

/** A program that is told nonsense over a connection still answers the next question. */
async function tellProgram(next: Random, serial: number): Promise<void> {
  let refused = 0
  const program = createControlledProgram({
    acts: { stop() {} },
    service: 'here',
    log: (name) => void (refused += name === 'control_refused' ? 1 : 0),
  })
  const [ours, theirs] = duplexPair()
  program.accept(theirs, 'fuzz')
  const peer = converse({ socket: ours, onMessage() {}, onInvalid() {} })
  for (let lines = next(6); lines > 0; lines--) {
    const text = spoil(formatMessage(anyMessage(next)), next)
    const bytes = Buffer.from(`${text}\n`, next(3) === 0 ? 'latin1' : 'utf8')
    for (let at = 0; at < bytes.length; at += 20_000) ours.write(bytes.subarray(at, at + 20_000))
  }
  const answer = await peer.request(controlMessage('ALIVE', { parameters: { serial } }), {
    timeoutMs: 60_000,
    isReply: ({ command, parameters }) =>
      command === 'ABSOLUTELY' && parameters.get('serial') === String(serial),
  })
  assert.equal(answer.command, 'ABSOLUTELY')
  await program.close()
  assert.deepEqual(program.connections(), [])
  ours.destroy()
}

/** What no input may have changed. */
const untouched = (): string =>
  JSON.stringify([
    Object.getOwnPropertyNames(Object.prototype),
    Object.getOwnPropertyNames(Map.prototype),
    Object.getOwnPropertyNames(Array.prototype).length,
  ])

/** Read this many inputs. */
export async function fuzz({
  inputs,
  seed,
}: {
  inputs: number
  seed: number
}): Promise<FuzzReport> {
  const next = random(seed)
  const report = { inputs, taken: 0, refused: 0, dispatched: 0, programs: 0, slowestMs: 0 }
  const began = performance.now()
  const before = untouched()
  for (let i = 0; i < inputs; i++) {
    try {
      const from = performance.now()
      if (readOne(next, i)) report.taken++
      else report.refused++
      report.slowestMs = Math.max(report.slowestMs, performance.now() - from)
      if (i % 10 === 0) cutLines(next)
      if (i % 100 === 0) report.dispatched += await dispatchTables(next)
      if (i % 500 === 0) {
        await tellProgram(next, i)
        report.programs++
      }
    } catch (cause) {
      throw new Error(`Input ${i} of seed ${seed} fails`, { cause })
    }
  }
  assert.equal(untouched(), before)
  // A text of 100,000 characters is read in a few milliseconds; this is no speed, it is no end.
  assert.ok(report.slowestMs < 5000, `one input took ${report.slowestMs} ms`)
  return { ...report, seconds: (performance.now() - began) / 1000 }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
    },
  })
  const report = await fuzz({ inputs: Number(values.inputs), seed: Number(values.seed) })
  const mb = Math.round(process.memoryUsage().rss / 1e6)
  process.stdout.write(
    `control: ${report.inputs} inputs in ${report.seconds.toFixed(1)} s, ${report.taken} read, ` +
      `${report.refused} refused, the slowest in ${report.slowestMs.toFixed(0)} ms; ` +
      `${report.dispatched} messages dispatched, ${report.programs} programs told nonsense; ${mb} MB\n`,
  )
}
