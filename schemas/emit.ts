import * as runtime from './cursor.ts'
import { reaches } from './parts.ts'
import type { AvroType, RecordType, UnionType } from './schema.ts'
import { costOf } from './sizes.ts'

/**
 * New places for the branches of a union, by old place. Compiled skipping code writes them over the
 * one-byte indexes it passes.
 */
export type Moves = ReadonlyMap<UnionType, readonly number[]>

/**
 * A program in the making: source text of JavaScript functions over the cursor. Inside a function
 * `v` is the view and `p` the position; `c` is the cursor, written only around calls.
 */
export interface Program {
  functions: string[]
  readers: Map<RecordType, string>
  skippers: Map<RecordType, string>
  /** Values that the source refers to as `k[i]`. */
  constants: unknown[]
  moves: Moves
  variables: number
}

export function createProgram(moves: Moves = new Map()): Program {
  return {
    functions: [],
    readers: new Map(),
    skippers: new Map(),
    constants: [],
    moves,
    variables: 0,
  }
}

/**
 * Make the program run: `body` becomes a function `(c, v, p, a)`, where `a` is an argument of the
 * caller's choice. Names from schemas enter the source only as JSON strings.
 */
export function link<Argument, Result>(
  program: Program,
  body: string,
): (c: runtime.Cursor, v: DataView, p: number, a: Argument) => Result {
  const names = Object.keys(runtime)
  const source = `'use strict'
const { ${names.join(', ')} } = runtime
${program.functions.join('\n')}
return function (c, v, p, a) {
${body}
}`
  return new Function('runtime', 'k', source)(runtime, program.constants)
}

/** Statements that read a value of a type into the variable `to`. */
export function emitRead(program: Program, type: AvroType, to: string): string {
  switch (type.kind) {
    case 'null':
      return `${to} = null`
    case 'boolean':
      return `${to} = v.getUint8(p++); if (${to} > 1) { c.at = p; refuse('a boolean is ' + ${to}) } ${to} = ${to} === 1`
    case 'int': {
      const byte = variable(program)
      return (
        `const ${byte} = v.getUint8(p); if (${byte} < 128) { ${to} = (${byte} >>> 1) ^ -(${byte} & 1); p++ } ` +
        `else { ${call(`${to} = readInt(c)`)} }`
      )
    }
    case 'long':
      return call(`${to} = readLong(c)`)
    case 'float':
      return `${to} = v.getFloat32(p, true); p += 4`
    case 'double':
      return `${to} = v.getFloat64(p, true); p += 8`
    case 'bytes':
      return call(`${to} = readBytes(c)`)
    case 'string':
      return call(`${to} = readString(c)`)
    case 'fixed':
      return call(`${to} = readFixed(c, ${type.size})`)
    case 'enum':
      return call(
        `${to} = ${constant(program, type.symbols)}[readIndex(c, ${type.symbols.length})]`,
      )
    case 'array': {
      const item = variable(program)
      const read = emitRead(program, type.items, item)
      return `${to} = []\n${blocks(program, type.items, 0, `let ${item}; ${read}; ${to}.push(${item})`)}`
    }
    case 'map': {
      const [key, value] = [variable(program), variable(program)]
      const read =
        call(`const ${key} = readString(c)`) +
        `; let ${value}; ${emitRead(program, type.values, value)}; ${to}[${key}] = ${value}`
      return `${to} = Object.create(null)\n${blocks(program, type.values, 1, read)}`
    }
    case 'record':
      return call(`${to} = ${recordReader(program, type)}(c)`)
    case 'union':
      return choose(program, type, (branch) => emitRead(program, branch, to))
  }
}

/** Statements that step over a value of a type, making the moves of the program on the way. */
export function emitSkip(program: Program, type: AvroType): string {
  switch (type.kind) {
    case 'null':
      return ''
    case 'boolean':
      return 'v.getUint8(p++)'
    case 'int':
    case 'long':
      return `if (v.getUint8(p++) > 127) { ${call('skipVarint(c)')} }`
    case 'float':
      return 'p += 4'
    case 'double':
      return 'p += 8'
    case 'bytes':
    case 'string':
      return call('skipBytes(c)')
    case 'fixed':
      return `p += ${type.size}`
    case 'enum':
      return call(`readIndex(c, ${type.symbols.length})`)
    case 'array':
      return blocks(program, type.items, 0, emitSkip(program, type.items))
    case 'map':
      return blocks(
        program,
        type.values,
        1,
        `${call('skipBytes(c)')}; ${emitSkip(program, type.values)}`,
      )
    case 'record':
      return call(`${recordSkipper(program, type)}(c)`)
    case 'union':
      return choose(program, type, (branch) => emitSkip(program, branch))
  }
}

/** Statements that read the index of a union and do what `branch` says for the type chosen. */
export function choose(
  program: Program,
  type: UnionType,
  branch: (type: AvroType, index: number) => string,
): string {
  const byte = variable(program)
  const size = type.branches.length
  const moves = program.moves.get(type)
  // An index of more bytes than it needs is legal, though nobody writes one.
  const long = `if (${byte} > ${Math.min(2 * size - 2, 127)}) { p--; ${call(`${byte} = 2 * readIndex(c, ${size})`)} }`
  const cases = type.branches.map((chosen, index) => {
    const move = moves ? `v.setUint8(p - 1, ${2 * (moves[index] ?? index)}); ` : ''
    return `if (${byte} === ${2 * index}) { ${move}${branch(chosen, index)} }`
  })
  const none = `{ c.at = p; refuse('there is no choice ' + ((${byte} >>> 1) ^ -(${byte} & 1)) + ' of ${size}') }`
  const single = moves
    ? `const ${byte} = v.getUint8(p++)`
    : `let ${byte} = v.getUint8(p++); ${long}`
  return `${single}\n${cases.join('\nelse ')}\nelse ${none}`
}

/** A call that may move the cursor. */
export function call(statement: string): string {
  return `c.at = p; ${statement}; p = c.at`
}

export function variable(program: Program): string {
  return `x${program.variables++}`
}

function constant(program: Program, value: unknown): string {
  return `k[${program.constants.push(value) - 1}]`
}

function blocks(program: Program, item: AvroType, keys: number, each: string): string {
  const [count, end, index] = [variable(program), variable(program), variable(program)]
  const { least, free } = costOf(item)
  return `for (;;) {
let ${count}; ${call(`${count} = openBlock(c, ${least + keys}, ${free})`)}
if (${count} === 0) break
const ${end} = c.blockEnd
for (let ${index} = 0; ${index} < ${count}; ${index}++) { ${each} }
if (${end} !== -1) { c.at = p; closeBlock(c, ${end}) }
}`
}

function recordReader(program: Program, type: RecordType): string {
  const known = program.readers.get(type)
  if (known) return known
  const name = `read${program.readers.size}`
  program.readers.set(type, name)

  const targets = type.fields.map(() => variable(program))
  const reads = type.fields.map((field, i) => emitRead(program, field.type, targets[i] as string))
  const literal = `{ ${type.fields.map((field, i) => `${key(field.name)}: ${targets[i]}`).join(', ')} }`
  program.functions.push(`function ${name}(c) {
const v = c.view
let p = c.at
${isRecursive(type) ? 'descend(c)' : ''}
${targets.length > 0 ? `let ${targets.join(', ')}` : ''}
${reads.join('\n')}
c.at = p
${isRecursive(type) ? 'c.depth--' : ''}
return ${literal}
}`)
  return name
}

function recordSkipper(program: Program, type: RecordType): string {
  const known = program.skippers.get(type)
  if (known) return known
  const name = `skip${program.skippers.size}`
  program.skippers.set(type, name)
  program.functions.push(`function ${name}(c) {
const v = c.view
let p = c.at
${isRecursive(type) ? 'descend(c)' : ''}
${type.fields.map((field) => emitSkip(program, field.type)).join('\n')}
c.at = p
${isRecursive(type) ? 'c.depth--' : ''}
}`)
  return name
}

/** A key of an object literal. In brackets `__proto__` is a field like any other. */
export function key(name: string): string {
  return name === '__proto__' ? `['__proto__']` : JSON.stringify(name)
}

function isRecursive(record: RecordType): boolean {
  return record.fields.some(({ type }) => reaches(type, record))
}
