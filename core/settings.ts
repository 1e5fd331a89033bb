/**
 * Reading settings that a person wrote: each value is taken by its path and checked, and every fault is
 * kept, so that one run of `nightjar config check` tells all of them.
 *
 * Any value may be `{ env = "NAME" }`, which stands for the variable's text.
 */
export type Environment = Readonly<Record<string, string | undefined>>

/** Where a secret is. Only `inline` is the secret itself. */
export type Secret =
  { from: 'file'; path: string } | { from: 'env'; name: string } | { from: 'inline'; value: string }

/** What a value may be. `allowed` completes the sentence "must be …". */
export interface Rule {
  allowed: string
  fits?: (text: string) => boolean
}

export interface Section {
  path: string
  has(key: string): boolean
  isTable(key: string): boolean
  keys(): string[]
  text(key: string, rule?: Rule): string | undefined
  /** As `text`, but its absence is a fault; then it answers an empty text. */
  needText(key: string, rule?: Rule): string
  /** A list of texts; from the environment, divided by commas. */
  list(key: string, rule?: Rule): string[] | undefined
  needList(key: string, rule?: Rule): string[]
  flag(key: string): boolean | undefined
  /** A whole number within bounds. */
  whole(key: string, least: number, most: number): number | undefined
  choice<Word extends string>(key: string, words: readonly Word[]): Word | undefined
  needChoice<Word extends string>(key: string, words: readonly Word[]): Word | undefined
  /** A secret by reference, `{ file = … }` or `{ env = … }`; in the file itself it is taken with a warning. */
  needSecret(key: string): Secret
  section(key: string): Section | undefined
  /** Every table below, by its key. */
  sections(): [string, Section][]
  fault(key: string, value: unknown, allowed: string): void
  /** Every key that nobody asked for is a fault. To be called last. */
  end(): void
}

/** Where faults and warnings are kept, one sentence each. */
export interface Findings {
  faults: string[]
  warnings: string[]
}

/** Open a table of settings. */
export function openSection(
  value: unknown,
  path: string,
  env: Environment,
  found: Findings,
): Section {
  const table = isTable(value) ? value : {}
  const asked = new Set<string>()
  if (!isTable(value)) say(path, value, 'must be a table')

  const at = (key: string): string => (path === '' ? key : `${path}.${key}`)

  function say(where: string, shown: unknown, problem: string): void {
    found.faults.push(`${where}: ${shown === undefined ? '' : `${show(shown)} `}${problem}`)
  }

  /** The value as written, or what the environment says in its place. */
  function take(key: string): { value: unknown; shown: unknown; fromEnv: boolean } | undefined {
    asked.add(key)
    const written = table[key]
    if (written === undefined) return undefined
    if (!isReference(written)) return { value: written, shown: written, fromEnv: false }
    const name = written.env
    const text = env[name]
    if (text === undefined || text === '') {
      say(at(key), undefined, `needs the environment variable ${name}, which is not set`)
      return undefined
    }
    return { value: text, shown: text, fromEnv: true }
  }

  function text(key: string, rule?: Rule): string | undefined {
    const taken = take(key)
    if (taken === undefined) return undefined
    const allowed = rule?.allowed ?? 'a text'
    if (
      typeof taken.value === 'string' &&
      taken.value !== '' &&
      (rule?.fits?.(taken.value) ?? true)
    ) {
      return taken.value
    }
    say(at(key), taken.shown, `must be ${allowed}`)
    return undefined
  }

  function list(key: string, rule?: Rule): string[] | undefined {
    const taken = take(key)
    if (taken === undefined) return undefined
    const items: unknown =
      taken.fromEnv && typeof taken.value === 'string'
        ? taken.value.split(',').map((item) => item.trim())
        : taken.value
    const allowed = rule?.allowed ?? 'a text'
    if (!Array.isArray(items) || items.length === 0) {
      say(at(key), taken.shown, `must be a list of at least one item, each ${allowed}`)
      return undefined
    }
    const texts: string[] = []
    items.forEach((item: unknown, index) => {
      if (typeof item === 'string' && item !== '' && (rule?.fits?.(item) ?? true)) texts.push(item)
      else say(`${at(key)}[${index}]`, item, `must be ${allowed}`)
    })
    return texts
  }

  function missing(key: string, allowed: string): void {
    // A reference to a variable that is not set was told of already.
    if (table[key] === undefined) say(at(key), undefined, `is missing: it must be ${allowed}`)
  }

  function choice<Word extends string>(key: string, words: readonly Word[]): Word | undefined {
    const taken = take(key)
    if (taken === undefined) return undefined
    const word = words.find((one) => one === taken.value)
    if (word === undefined) say(at(key), taken.shown, `must be one of ${words.join(', ')}`)
    return word
  }

  return {
    path,
    has: (key) => table[key] !== undefined,
    isTable: (key) => isTable(table[key]) && !isReference(table[key]),
    keys: () => Object.keys(table),
    text,
    needText(key, rule) {
      const value = text(key, rule)
      if (value === undefined) missing(key, rule?.allowed ?? 'a text')
      return value ?? ''
    },
    list,
    needList(key, rule) {
      const value = list(key, rule)
      if (value === undefined) missing(key, `a list, each ${rule?.allowed ?? 'a text'}`)
      return value ?? []
    },
    flag(key) {
      const taken = take(key)
      if (taken === undefined) return undefined
      if (taken.value === true || taken.value === 'true') return true
      if (taken.value === false || taken.value === 'false') return false
      say(at(key), taken.shown, 'must be true or false')
      return undefined
    },
    whole(key, least, most) {
      const taken = take(key)
      if (taken === undefined) return undefined
      const number = taken.fromEnv ? Number(taken.value) : taken.value
      if (typeof number === 'number' && Number.isInteger(number)) {
        if (number >= least && number <= most) return number
      }
      say(at(key), taken.shown, `must be a whole number from ${least} to ${most}`)
      return undefined
    },
    choice,
    needChoice(key, words) {
      const word = choice(key, words)
      if (word === undefined) missing(key, `one of ${words.join(', ')}`)
      return word
    },
    needSecret(key) {
      asked.add(key)
      const written = table[key]
      const allowed = 'a reference such as { file = "/run/secrets/…" } or { env = "NAME" }'
      if (typeof written === 'string' && written !== '') {
        found.warnings.push(
          `${at(key)}: a secret stands in the file itself; give ${allowed} instead`,
        )
        return { from: 'inline', value: written }
      }
      const reference = isTable(written) && Object.keys(written).length === 1 ? written : {}
      const { file, env: name } = reference
      if (typeof file === 'string' && file !== '') return { from: 'file', path: file }
      if (typeof name === 'string' && name !== '') {
        if ((env[name] ?? '') === '') {
          say(at(key), undefined, `needs the environment variable ${name}, which is not set`)
        }
        return { from: 'env', name }
      }
      // Whatever was written here may be a secret, or half of one: it is not repeated.
      if (written === undefined) missing(key, allowed)
      else say(at(key), undefined, `(not shown) must be ${allowed}`)
      return { from: 'inline', value: '' }
    },
    section(key) {
      asked.add(key)
      return table[key] === undefined ? undefined : openSection(table[key], at(key), env, found)
    },
    sections() {
      return Object.keys(table).map((key) => {
        asked.add(key)
        return [key, openSection(table[key], at(key), env, found)]
      })
    },
    fault: (key, value, allowed) => say(at(key), value, `must be ${allowed}`),
    end() {
      for (const key of Object.keys(table)) {
        if (asked.has(key)) continue
        const known = [...asked].sort()
        const meant = known.find((name) => isNear(name, key))
        const hint = meant === undefined ? `known are ${known.join(', ')}` : `is it "${meant}"?`
        say(at(key), undefined, `is not known here: ${hint}`)
      }
    },
  }
}

/** Environment variables of this prefix set one value each: `NIGHTJAR__STREAMS__ZTF__BROKERS`. */
const prefix = 'NIGHTJAR__'

/**
 * Settings with those of the environment laid over them. A variable's name is the path in upper case,
 * its parts divided by two underscores; a dash in a part is one underscore.
 */
export function overlayEnvironment(settings: unknown, env: Environment): unknown {
  let laid = settings
  for (const name of Object.keys(env).sort()) {
    if (!name.startsWith(prefix) || env[name] === undefined) continue
    const path = name.slice(prefix.length).toLowerCase().split('__')
    laid = withValue(laid, path, { env: name })
  }
  return laid
}

function withValue(settings: unknown, path: readonly string[], value: unknown): unknown {
  const [part, ...rest] = path
  if (part === undefined) return value
  const table = isTable(settings) ? settings : {}
  const key = Object.keys(table).find((known) => known.replaceAll('-', '_') === part) ?? part
  return { ...table, [key]: withValue(table[key], rest, value) }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isReference(value: unknown): value is { env: string } {
  return isTable(value) && typeof value['env'] === 'string' && Object.keys(value).length === 1
}

function show(value: unknown): string {
  // A URL may carry a password.
  const text = (JSON.stringify(value) ?? String(value)).replaceAll(/\/\/[^/"]*@/g, '//…@')
  return text.length > 80 ? `${text.slice(0, 77)}…` : text
}

/** True where two names are at most two changes of a letter apart. */
function isNear(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 2) return false
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      const [left = 0, up = 0, across = 0] = [next[j - 1], row[j], row[j - 1]]
      next.push(Math.min(left + 1, up + 1, across + same))
    }
    row = next
  }
  return (row[b.length] ?? 3) <= 2
}
