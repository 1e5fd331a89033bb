import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '..')

/** Who may import whom. A folder may always import itself. */
const allowed: Record<string, readonly string[]> = {
  core: [],
  schemas: ['core'],
  control: ['core'],
  salt2: ['core'],
  cloud: ['core', 'schemas'],
  local: ['core', 'schemas'],
  consumer: ['core', 'schemas'],
  functions: ['core', 'schemas', 'control', 'salt2'],
  conductor: ['core', 'control'],
  gateways: ['core', 'control', 'schemas'],
  infra: ['core'],
  client: ['core', 'schemas', 'control'],
  simulator: ['core', 'schemas', 'salt2'],
}

/** They wire programs to answers, or look at them from outside. */
const unbound = new Set(['cli', 'test', 'bench'])

/** The one home of a package: folders, or files. Tests and benches may compare with anything. */
const homes: readonly { packages: RegExp; homes: readonly string[] }[] = [
  { packages: /^kafkajs($|-)/, homes: ['consumer'] },
  { packages: /^@google-cloud\//, homes: ['cloud'] },
  { packages: /^@google-cloud\/functions-framework$/, homes: ['functions/main.ts'] },
  { packages: /^avsc$/, homes: ['schemas'] },
  { packages: /^(@duckdb\/|node:sqlite$)/, homes: ['local'] },
  { packages: /^commander$/, homes: ['cli'] },
  { packages: /^tar-stream$/, homes: ['consumer', 'simulator', 'cli'] },
  { packages: /^(@?cdktf|@cdktn)($|[/-])/, homes: ['infra'] },
  { packages: /^libxml/, homes: ['gateways/voevent'] },
  { packages: /^kerberos$/, homes: ['consumer'] },
  { packages: /^(google-auth-library|@grpc\/grpc-js)$/, homes: ['cloud'] },
  { packages: /^(@resvg\/|dejavu-fonts-ttf)/, homes: ['functions/salt2'] },
  { packages: /^smol-toml$/, homes: ['cli', 'infra'] },
  { packages: /^prom-client$/, homes: ['cli'] },
  { packages: /^nodemailer$/, homes: ['cli'] },
  { packages: /^astronomy-engine$/, homes: ['conductor'] },
  { packages: /^esbuild$/, homes: ['functions/bundle.ts', 'cli/bundle.ts'] },
]

const sources = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((path) => path.replaceAll('\\', '/'))
  .filter((path) => /\.m?ts$/.test(path) && !/(^|\/)(node_modules|dist|\.[^/]+)\//.test(path))

const textOf = (path: string): string => readFileSync(join(root, path), 'utf8')

/** The code without its comments, so that prose is not taken for code. */
const codeOf = (path: string): string =>
  textOf(path).replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|(?<=[;,)}\s])\/\/ .*$/gm, '')

function importsOf(path: string): string[] {
  const found = codeOf(path).matchAll(
    /(?:^|[\s;}])(?:from|import)\s*\(?\s*(['"])(?<name>[^'"\n]+)\1/g,
  )
  return [...found].map((match) => match.groups?.['name'] ?? '')
}

const folderOf = (path: string): string => (path.includes('/') ? (path.split('/')[0] ?? '') : '')
const isUnbound = (path: string): boolean =>
  unbound.has(folderOf(path)) || basename(path) === 'main.ts'

/** What is wrong with an import, as a sentence. */
function faultOf(path: string, name: string): string | undefined {
  if (name.startsWith('.')) {
    const to = folderOf(relative(root, resolve(root, dirname(path), name)))
    const from = folderOf(path)
    if (['test', 'bench'].includes(to) && to !== from && from !== 'bench') {
      return `Cannot import "${name}" from ${path}: nobody imports ${to}/`
    }
    if (isUnbound(path) || to === from) return undefined
    const may = allowed[from]
    if (may === undefined) return `Cannot judge ${path}: folder "${from}" is not in the table`
    if (may.includes(to)) return undefined
    return `Cannot import "${name}" from ${path}: allowed are ${[from, ...may].join(', ')}`
  }
  if (['test', 'bench'].includes(folderOf(path))) return undefined
  // The most particular line counts, so that functions-framework is not at home in cloud/.
  const rule = homes.findLast(({ packages }) => packages.test(name))
  if (rule === undefined) return undefined
  if (rule.homes.some((home) => path === home || path.startsWith(`${home}/`))) return undefined
  return `Cannot import "${name}" from ${path}: it is at home in ${rule.homes.join(', ')} only`
}

test('every folder imports only what the table allows it', () => {
  assert.ok(sources.length > 50, `only ${sources.length} sources were found under ${root}`)
  const faults = sources.flatMap((path) =>
    importsOf(path).flatMap((name) => faultOf(path, name) ?? []),
  )
  assert.deepEqual(faults, [])
})

test('the rules say file, import and what is allowed', () => {
  assert.equal(
    faultOf('core/alert.ts', '../consumer/relay.ts'),
    'Cannot import "../consumer/relay.ts" from core/alert.ts: allowed are core',
  )
  assert.equal(
    faultOf('conductor/audit.ts', '../local/home.ts'),
    'Cannot import "../local/home.ts" from conductor/audit.ts: allowed are conductor, core, control',
  )
  assert.equal(
    faultOf('functions/stage.ts', '@google-cloud/functions-framework'),
    'Cannot import "@google-cloud/functions-framework" from functions/stage.ts: ' +
      'it is at home in functions/main.ts only',
  )
  assert.equal(
    faultOf('cli/run.ts', 'node:sqlite'),
    'Cannot import "node:sqlite" from cli/run.ts: it is at home in local only',
  )
  assert.equal(faultOf('functions/main.ts', '../cloud/topic.ts'), undefined)
  assert.equal(faultOf('functions/main.ts', '@google-cloud/functions-framework'), undefined)
  assert.equal(faultOf('cloud/topic.ts', '@google-cloud/pubsub'), undefined)
  assert.match(faultOf('helpers/a.ts', '../core/log.ts') ?? '', /"helpers" is not in the table/)
  assert.match(faultOf('cli/run.ts', '../test/data.ts') ?? '', /nobody imports test\//)
})

test('core/ does no input or output: of Node it imports nothing', () => {
  const faults = sources
    .filter((path) => folderOf(path) === 'core')
    .flatMap((path) =>
      importsOf(path)
        .filter((name) =>
          /^node:(fs|net|http|https|child_process|sqlite|worker_threads)/.test(name),
        )
        .map((name) => `${path} imports ${name}`),
    )
  assert.deepEqual(faults, [])
})

test('core/ports.ts has at most five ports', () => {
  const text = codeOf('core/ports.ts')
  const interfaces = [...text.matchAll(/^export interface (\w+)[^{]*\{([\s\S]*?)^\}/gm)]
  // A port does something; what it takes and gives only has fields.
  const ports = interfaces.filter(([, , body]) =>
    /^\s+\w+\([\s\S]*?\): (Promise|Async)/m.test(body ?? ''),
  )
  const names = ports.map(([, name]) => name)
  assert.ok(names.includes('Topic'), names.join())
  assert.ok(names.length <= 5, `there are ${names.length}: ${names.join(', ')}`)
})

test('only core/names.ts spells the names of resources', () => {
  const texts = sources.filter(
    (path) => !['test', 'bench'].includes(folderOf(path)) && path !== 'core/names.ts',
  )
  const word =
    '(?:alerts?|alert_data|alert_avro_bucket|exgalac_trans|salt2|ledger|dead_letter|sncosmo)'
  const literal = `(['"\`])[^'"\`\\n]*\\b(?:ztf|lsst)[_-]${word}\\b[^'"\`\\n]*\\1`
  const template = `\\$\\{[^}]*\\bsurvey\\}[_-]${word}\\b`
  const spelled = new RegExp(`${literal}|${template}`)
  for (const line of ["open('ztf_alert_data')", 'x(`${at.survey}_ledger`)', '"lsst_alerts"']) {
    assert.match(line, spelled)
  }
  const faults = texts.flatMap((path) =>
    codeOf(path)
      .split('\n')
      // A help text shows names as a person types them.
      .filter(
        (line) => spelled.test(line) && !/\.(argument|option|description|addHelpText)\(/.test(line),
      )
      .map((line) => `${path}: ${line.trim()}`),
  )
  assert.deepEqual(faults, [])
})

test('no file has a name that says nothing', () => {
  const empty = /^(utils?|helpers?|common|types?|misc|index|shared)\.m?ts$/
  assert.deepEqual(
    sources.filter(
      (path) => empty.test(basename(path)) || /(^|\/)(utils|helpers|common)\//.test(path),
    ),
    [],
  )
})
