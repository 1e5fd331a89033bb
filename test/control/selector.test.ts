import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'

import { departureRules, departuresOf, type NameFacts } from '../../control/selector/departures.ts'
import { likeTest, parseLike } from '../../control/selector/like.ts'
import { parseSelector } from '../../control/selector/parser.ts'
import { propertySelector, type Properties } from '../../control/selector/properties.ts'
import { NightjarError } from '../../core/errors.ts'
import { createRandom } from '../../simulator/random.ts'
import { dataDir, peersDir, skipWithout } from '../data.ts'
import { generateSelector, type KnownName } from './generate.ts'

/** The message of the measured vectors. */
const message: Properties = {
  ...{ s: 'abc', empty: '', num: '5', pct: '10%_x', nl: 'a\nb', q: "it's", TYPE: '_S' },
  ...{ i: 5, l: 5n, big: 9007199254740993n, f: 5, f1: Math.fround(0.1), d: 5, d1: 0.1 },
  ...{ nan: NaN, sh: 5, by: 5, t: true, fa: false },
  ...{ JMSType: 'jt', JMSMessageID: 'id:1', JMSPriority: 0, JMSTimestamp: 0n },
  JMSDeliveryMode: 'NON_PERSISTENT',
}

const words = new Map<boolean | null, string>([
  [true, 'TRUE'],
  [false, 'FALSE'],
  [null, 'UNKNOWN'],
])

function verdict(text: string, properties = message): string {
  try {
    const { judge, selects } = propertySelector(text)
    const judged = judge(properties)
    assert.equal(selects(properties), judged === true, text)
    return words.get(judged) ?? ''
  } catch (error) {
    if (error instanceof NightjarError && error.code === 'input_invalid') return 'INVALID'
    throw error
  }
}

const fault = (text: string): string => {
  try {
    parseSelector(text)
  } catch (error) {
    assert.ok(error instanceof NightjarError && error.code === 'input_invalid', String(error))
    return error.message
  }
  return assert.fail(`${text} is taken`)
}

/** Measured cases in which we take another side than ActiveMQ, and the rule by which. */
const departed: Readonly<Record<string, [string, keyof typeof departureRules | 'extension']>> = {
  'NOT i = 4': ['TRUE', 'not_binds'],
  s: ['UNKNOWN', 'bare_name'],
  i: ['UNKNOWN', 'bare_name'],
  't AND i': ['UNKNOWN', 'bare_name'],
  "i NOT LIKE '5'": ['UNKNOWN', 'text_like'],
  'i / 0 = 1': ['UNKNOWN', 'not_finite'],
  'd / 0 > 1': ['UNKNOWN', 'not_finite'],
  "s + 'd' = 'abcd'": ['INVALID', 'extension'],
  's - 1 = 2': ['UNKNOWN', 'text_arithmetic'],
  'nan = nan': ['FALSE', 'nan'],
  'nan > 1': ['FALSE', 'nan'],
  'i = 5 -- comment': ['UNKNOWN', 'null_right'],
  "REGEX('a.*', s)": ['INVALID', 'extension'],
  "XPATH '//a'": ['INVALID', 'extension'],
  '99999999999999999999 > 1': ['TRUE', 'huge'],
}

const vectors = resolve(dataDir, 'vectors')
const withoutVectors = skipWithout(vectors, 'set NIGHTJAR_DATA to a folder with the vectors')

test(
  'L11: the measured cases agree with ActiveMQ one by one, or depart by a rule',
  { skip: withoutVectors },
  () => {
    const lines = (name: string): string[] =>
      readFileSync(resolve(vectors, name), 'utf8').split('\n')
    const expected = lines('selector_expected_activemq_5.17.2.txt')
    const seen = new Set<string>()
    lines('selector_cases.txt').forEach((text, i) => {
      if (text === '') return
      const activemq = /^[A-Z]+/.exec(expected[i] ?? '')?.[0] ?? ''
      const departure = departed[text]
      if (departure === undefined) return assert.equal(verdict(text), activemq, text)
      seen.add(text)
      assert.equal(verdict(text), departure[0], text)
      assert.notEqual(activemq, departure[0], text)
      if (departure[1] === 'extension') return
      const rules = departuresOf(parseSelector(text)).map(({ rule }) => rule)
      assert.ok(rules.includes(departure[1]), `${text}: ${rules.join()}`)
    })
    assert.deepEqual([...seen].sort(), Object.keys(departed).sort())
  },
)

test('rules beyond the measured cases', () => {
  const cases: [string, string][] = [
    ['5 = nope', 'UNKNOWN'],
    ['i = nope', 'UNKNOWN'],
    ['NOT (5 = nope)', 'UNKNOWN'],
    ['t > fa', 'FALSE'],
    ['t <> 1', 'FALSE'],
    ['nan <> nan', 'TRUE'],
    ['NOT (nan > 1)', 'TRUE'],
    ['nan NOT BETWEEN 1 AND 2', 'FALSE'],
    ["i LIKE '5'", 'UNKNOWN'],
    ["nope NOT LIKE '5'", 'UNKNOWN'],
    ['d = 5d', 'INVALID'],
    ['0x10 = 16', 'TRUE'],
    ['017 = 15', 'TRUE'],
    ['09 = 9', 'INVALID'],
    ['-9223372036854775808 < -9223372036854775807', 'TRUE'],
    ['9223372036854775807 + 1 > 0', 'UNKNOWN'],
    ['-9223372036854775808 - 1 < 0', 'UNKNOWN'],
    ['big = 9007199254740993', 'TRUE'],
    ['big + 1 = 9007199254740994', 'TRUE'],
    ['big * 1 = big', 'TRUE'],
    ['big <> 9007199254740992.0', 'FALSE'],
    ['1e400 > 1e308', 'TRUE'],
    ['s = NULL', 'INVALID'],
    ["'a' IN ('a')", 'INVALID'],
    ['s IN ()', 'INVALID'],
    ['i = 5 -- a comment\n AND t', 'TRUE'],
    ['i = /* five */ 5', 'TRUE'],
    ['i = 5 /* without end', 'INVALID'],
    ["q = 'it''s'", 'TRUE'],
    ["s = 'abc", 'INVALID'],
    ['été IS NULL', 'TRUE'],
    ['constructor IS NULL', 'TRUE'],
    ['__proto__ IS NULL AND toString IS NULL', 'TRUE'],
    ["nl LIKE 'a_b' AND nl LIKE '%b'", 'TRUE'],
    ['', 'TRUE'],
    [' \t', 'TRUE'],
    ['cone(10, 20, 1)', 'UNKNOWN'],
  ]
  for (const [text, expected] of cases) assert.equal(verdict(text), expected, text)
})

test('properties that are named like parts of the language of this program are properties', () => {
  const odd = JSON.parse(
    '{"__proto__": 5, "constructor": "c", "hasOwnProperty": true}',
  ) as Properties
  assert.equal(verdict('__proto__ = 5', odd), 'TRUE')
  assert.equal(verdict("constructor = 'c' AND hasOwnProperty", odd), 'TRUE')
  assert.equal(verdict('valueOf IS NULL', odd), 'TRUE')
})

test('three-valued logic is that of the JMS tables', () => {
  const values = { T: 'TRUE', F: 'FALSE', U: 'NULL' }
  const table = (pair: string): [string, string] => {
    const [a, b] = [...pair] as ('T' | 'F' | 'U')[]
    const first = values[a ?? 'U']
    const second = values[b ?? 'U']
    return [verdict(`${first} AND ${second}`), verdict(`${first} OR ${second}`)].map(
      (word) => word[0],
    ) as [string, string]
  }
  const expected = 'TT:TT TF:FT TU:UT FT:FT FF:FF FU:FU UT:UT UF:FU UU:UU'
  for (const row of expected.split(' ')) {
    const [pair = '', wanted = ''] = row.split(':')
    assert.equal(table(pair).join(''), wanted, pair)
  }
})

test('an error shows the column, with a caret under it', () => {
  assert.equal(
    fault('i = 5 AND'),
    'Cannot use the selector: column 10 should be a value or a condition, not its end\n' +
      '  i = 5 AND\n           ^',
  )
  assert.match(fault('rb > 0.65 AND magpsf < '), /column 24 .*its end/)
  assert.match(fault("s > 'abb'"), /column 5 has a text, which > does not order/)
  assert.match(fault('i IN (5)'), /column 7 should be a 'text', not "5"/)
  assert.match(fault('i != 5'), /column 3 has "!=": write "<>"/)
  assert.match(fault('s = "abc"'), /column 5 has a double quote/)
  assert.match(fault('a.b = 1'), /column 2 has a dot/)
  assert.match(fault("s = 'x\n"), /line 1, column 5 begins a text that has no end/)
  assert.match(fault('i = 5\nAND rb >'), /line 2, column 9 /)
  assert.match(fault('3 + 5'), /column 1 should be a condition, not a number/)
  assert.match(fault('cone(10, 95, 1)'), /column 10 should be dec in degrees, -90 to 90, not "95"/)
  assert.match(fault('sqrt(i) > 1'), /column 1 calls "sqrt"/)
  assert.match(fault("s = '\ud800'"), /column 6 has a character that no text may hold/)
  const long = `${'i = 5 AND '.repeat(50)}i ! 5`
  const [, shown = '', caret = ''] = fault(long).split('\n')
  assert.equal(shown[caret.indexOf('^')], '!')
  assert.ok(shown.length < 100)
})

test('length, depth and size are bounded, and so is the time', () => {
  assert.match(fault(' '.repeat(20_000)), /at most 16384 characters/)
  assert.match(fault(`${'('.repeat(5000)}i = 5`), /nests deeper than 64/)
  assert.match(fault(`${'NOT '.repeat(3000)}t`), /nests deeper than 64/)
  assert.match(fault(`i = ${'-'.repeat(8000)}5`), /nests deeper than 64/)
  assert.match(fault(`i${' + 1'.repeat(4000)} = 5`), /nests deeper than 64/)
  assert.match(fault(`t${' = t'.repeat(4000)}`), /nests deeper than 64/)
  assert.match(fault(`t${' AND t'.repeat(2700)} AND ${'t OR '.repeat(1)}`), /its end/)
  assert.equal(verdict(`t${' AND t'.repeat(2000)}`), 'TRUE')
  assert.equal(verdict(`${'('.repeat(60)}i = 5${')'.repeat(60)}`), 'TRUE')
  // Boolean comparisons in each other would double at each level if written twice.
  let nest = 't'
  for (let n = 0; n < 30; n++) nest = `((${nest} AND t) = (NOT fa))`
  assert.equal(verdict(nest), 'TRUE')
})

test('LIKE takes time by the product of the lengths at most', () => {
  const matches = likeTest(parseLike(`${'%a'.repeat(2000)}%b`))
  const started = performance.now()
  assert.equal(matches('a'.repeat(20_000)), false)
  assert.ok(performance.now() - started < 5000)
})

test('LIKE counts characters, not halves of them', () => {
  assert.equal(likeTest(parseLike('a_b'))('a😀b'), true)
  assert.equal(likeTest(parseLike('a__b'))('a😀b'), false)
  assert.equal(likeTest(parseLike('%_😀%x'))('b😀x'), true)
  assert.equal(likeTest(parseLike('a%a'))('a'), false)
  assert.equal(likeTest(parseLike('%a_c%'))('zzabczz'), true)
})

test('texts are ordered by code points, as in the tables', () => {
  const texts = { a: '\u{1f600}', b: '\uffee', c: 'a' }
  assert.equal(verdict('a > b AND b > c AND a > c', texts), 'TRUE')
})

test('an error says a long word only in part', () => {
  const long = 'a'.repeat(5000)
  for (const text of [`${long}(1)`, `${long} b`, `x LIKE ${long}`, `5 > ${long} ${long}`]) {
    const said = fault(text)
    assert.ok(said.length < 400, said)
  }
  assert.match(fault(`x IS ${long}`), /column 6 should be NULL, not "a{80}…"\n/)
})

test('fuzz: whatever it is given, the parser takes it or points at a column', (t) => {
  const random = createRandom('selector fuzz', process.env['NIGHTJAR_SEED'] ?? '1')
  const rounds = Number(process.env['NIGHTJAR_FUZZ'] ?? 100_000)
  const parts = (
    "i s t nope NOT AND OR BETWEEN IN LIKE ESCAPE IS NULL TRUE ( ) , + - * / = <> < <= > >= 5 5.5 'a' " +
    "'a%' '' 1e9 0x1F 017 99999999999999999999 -- /* */ cone é \n . ' \" \\ ! % \u0000 __proto__ $x"
  ).split(' ')
  let taken = 0
  for (let n = 0; n < rounds; n++) {
    const length = 1 + random.whole(12)
    const joint = random.chance(0.9) ? ' ' : ''
    const text = Array.from({ length }, () => random.pick(parts)).join(joint)
    if (verdict(text) !== 'INVALID') taken++
    else assert.match(fault(text), /column \d+ .*\n {2}.*\n {2} *\^$/s)
  }
  t.diagnostic(`${taken} of ${rounds} were taken`)
  assert.ok(taken > rounds / 1000)
})

const activemq = resolve(peersDir, 'activemq')
const withoutActivemq = skipWithout(activemq, 'make peers')

/** What is known of the message, so that only the departures that can be met are told. */
const facts: Readonly<Record<string, NameFacts>> = Object.fromEntries(
  Object.entries(message).map(([name, value]): [string, NameFacts] => {
    const kind =
      typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'boolean' : 'double'
    const whole = typeof value === 'bigint' || ['i', 'sh', 'by', 'JMSPriority'].includes(name)
    const never = name === 'nan' ? (['null'] as const) : (['null', 'nan'] as const)
    return [name, { kind: kind === 'double' && whole ? 'integer' : kind, never }]
  }),
)

test(
  'generated selectors have the verdicts of ActiveMQ, or depart by a rule',
  { skip: withoutActivemq },
  (t) => {
    const random = createRandom('activemq', process.env['NIGHTJAR_SEED'] ?? '1')
    const names = Object.entries(message).map(([name, value]): KnownName => {
      const { kind } = facts[name] ?? {}
      const values = typeof value === 'boolean' ? [] : [value as string | number | bigint]
      return { name, kind: kind === undefined || kind === 'any' ? 'none' : kind, values }
    })
    names.push({ name: 'nope', kind: 'none', values: [] })
    const count = Number(process.env['NIGHTJAR_SELECTORS'] ?? 4000)
    const selectors = Array.from({ length: count }, (_, n) =>
      generateSelector({ random, names, depth: n % 4 }),
    )
    const classpath = `${activemq}/classes:${activemq}/libs/*`
    const input = selectors.map((text) => Buffer.from(text).toString('base64')).join('\n')
    const output = execFileSync('java', ['-Xmx256m', '-cp', classpath, 'Verdicts'], {
      input: `${input}\n`,
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    })
    const theirs = output.trim().split('\n')
    assert.equal(theirs.length, count)
    let agreed = 0
    const met = new Map<string, number>()
    selectors.forEach((text, n) => {
      const ours = verdict(text)
      assert.notEqual(ours, 'INVALID', text)
      const rules = departuresOf(parseSelector(text), (name) => facts[name] ?? {})
      // It throws on some pairs of number types; nobody can agree with that.
      if (theirs[n] === 'EVALERR') return void met.set('threw', (met.get('threw') ?? 0) + 1)
      if (rules.length === 0) {
        agreed++
        assert.equal(ours, theirs[n], text)
      } else if (ours !== theirs[n]) {
        for (const { rule } of rules) met.set(rule, (met.get(rule) ?? 0) + 1)
      }
    })
    t.diagnostic(
      `${agreed} of ${count} may not depart and agree; departures: ${[...met].join(' ')}`,
    )
    assert.ok(agreed > count / 4)
  },
)

test('docs/selectors.md lists every departure', () => {
  const text = readFileSync(resolve(import.meta.dirname, '../../docs/selectors.md'), 'utf8')
  for (const rule of Object.keys(departureRules)) assert.ok(text.includes(`| \`${rule}\``), rule)
})
