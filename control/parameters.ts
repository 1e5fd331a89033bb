/** The values of a message's parameters, and what a command may ask of them. */
import { NightjarError } from '../core/errors.ts'
import type { ControlMessage } from './message.ts'

/** What a command asks of one of its parameters; without `required` it may be absent. */
export interface ParameterRule {
  required?: boolean
  forbidden?: boolean
  /** It may be there without a text. */
  empty?: boolean
  type?: ParameterType
}

export type ParameterType = 'string' | 'integer' | 'address' | 'timespec'

export type ParameterRules = Readonly<Record<string, ParameterRule>>

const forms: Readonly<Record<ParameterType, RegExp>> = {
  string: /^/,
  integer: /^[+-]?\d{1,20}$/,
  // ADDRESS[:PORT], an IPv6 address in brackets.
  address: /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+|[0-9A-Fa-f:]*::[0-9A-Fa-f:]*)(?::\d{1,5})?$/,
  timespec: /^\d{1,12}(?:\.\d{1,9})?$/,
}

/** What is wrong with a message's parameters by the rules of its command; undefined if nothing is. */
export function parameterFault(
  { parameters }: ControlMessage,
  rules: ParameterRules,
): string | undefined {
  for (const [name, rule] of Object.entries(rules)) {
    const value = parameters.get(name)
    if (value === undefined) {
      if (rule.required === true) return `parameter "${name}" is missing`
      continue
    }
    if (rule.forbidden === true) return `parameter "${name}" is not allowed`
    if (value === '') {
      if (rule.empty !== true) return `parameter "${name}" is empty`
      continue
    }
    const type = rule.type ?? 'string'
    if (!forms[type].test(value))
      return `parameter "${name}" is no ${type}: "${value.slice(0, 80)}"`
  }
  return undefined
}

export type IntegerType =
  'int8' | 'int16' | 'int32' | 'int64' | 'uint8' | 'uint16' | 'uint32' | 'uint64'

/** A parameter as an integer of a width, exact to its last digit. Throws `input_invalid`. */
export function integerParameter(message: ControlMessage, name: string, type: IntegerType): bigint {
  const text = message.parameters.get(name)
  const isUnsigned = type.startsWith('u')
  const bits = BigInt(type.replace(/\D+/, ''))
  const least = isUnsigned ? 0n : -(1n << (bits - 1n))
  const most = (1n << (isUnsigned ? bits : bits - 1n)) - 1n
  if (text !== undefined && forms.integer.test(text)) {
    const value = BigInt(text.replace(/^\+/, ''))
    if (value >= least && value <= most) return value
  }
  throw new NightjarError(
    'input_invalid',
    `Cannot read parameter "${name}" of ${message.command} as ${type}: it is ` +
      (text === undefined ? 'absent' : `"${text.slice(0, 80)}"`),
  )
}

/** A parameter `seconds.nanoseconds` as nanoseconds. Throws `input_invalid`. */
export function timespecParameter(message: ControlMessage, name: string): bigint {
  const text = message.parameters.get(name)
  if (text !== undefined && forms.timespec.test(text)) {
    const [seconds = '0', fraction = ''] = text.split('.')
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  }
  throw new NightjarError(
    'input_invalid',
    `Cannot read parameter "${name}" of ${message.command} as a time: it is ` +
      (text === undefined ? 'absent' : `"${text.slice(0, 80)}"`),
  )
}

/** Nanoseconds since 1970 as `seconds.nanoseconds`. */
export function formatTimespec(ns: bigint): string {
  return `${ns / 1_000_000_000n}.${String(ns % 1_000_000_000n).padStart(9, '0')}`
}
