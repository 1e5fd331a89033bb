/**
 * A parsed selector: a small tree whose nodes know where in the text they stand (`at` counts from 0).
 * Conditions and values are told apart already, so what reads the tree need not check it again.
 */
import type { LikePattern } from './like.ts'

interface Node {
  at: number
  end: number
}

export type Literal = Node &
  (
    | { kind: 'text'; value: string }
    /** A number where it is safe as one, so that evaluation is fast; else a bigint of any size. */
    | { kind: 'integer'; value: number | bigint }
    | { kind: 'double'; value: number }
    | { kind: 'boolean'; value: boolean }
    | { kind: 'null' }
  )

export interface Name extends Node {
  kind: 'name'
  name: string
}

export type ArithmeticOperator = '+' | '-' | '*' | '/'
export type ComparisonOperator = '=' | '<>' | '<' | '<=' | '>' | '>='

export interface Sign extends Node {
  kind: 'sign'
  operator: '+' | '-'
  of: Value
}

export interface Arithmetic extends Node {
  kind: 'arithmetic'
  operator: ArithmeticOperator
  left: Value
  right: Value
}

export interface Comparison extends Node {
  kind: 'comparison'
  operator: ComparisonOperator
  left: Expression
  right: Expression
}

export interface Between extends Node {
  kind: 'between'
  negated: boolean
  of: Value
  low: Value
  high: Value
}

export interface In extends Node {
  kind: 'in'
  negated: boolean
  of: Name
  texts: readonly string[]
}

export interface Like extends Node {
  kind: 'like'
  negated: boolean
  of: Name
  pattern: LikePattern
}

export interface IsNull extends Node {
  kind: 'is_null'
  negated: boolean
  of: Expression
}

export interface Not extends Node {
  kind: 'not'
  /** What is negated is a comparison without parentheses, as in `NOT i = 4`. */
  bare: boolean
  of: Condition
}

export interface Joint extends Node {
  kind: 'and' | 'or'
  terms: readonly Condition[]
}

/** The position lies within `radius` degrees of (ra, dec), degrees. */
export interface Cone extends Node {
  kind: 'cone'
  ra: number
  dec: number
  radius: number
}

export type Value = Literal | Name | Sign | Arithmetic
export type Condition =
  | Comparison
  | Between
  | In
  | Like
  | IsNull
  | Not
  | Joint
  | Cone
  | Name
  | (Literal & { kind: 'boolean' | 'null' })
export type Expression = Value | Condition

export interface Selector {
  text: string
  root: Condition
  /** Every name that it asks for, once; `ra` and `dec` where it has a cone. */
  names: readonly string[]
  /** The prefix `convert_string_expressions:` was there: texts are read as numbers beside numbers. */
  convertsText: boolean
}

/** The parts of a node. */
export function partsOf(node: Expression): readonly Expression[] {
  switch (node.kind) {
    case 'sign':
    case 'in':
    case 'like':
    case 'is_null':
    case 'not':
      return [node.of]
    case 'arithmetic':
    case 'comparison':
      return [node.left, node.right]
    case 'between':
      return [node.of, node.low, node.high]
    case 'and':
    case 'or':
      return node.terms
    default:
      return []
  }
}

/** Every node of a tree, parents first. */
export function* nodesOf(node: Expression): Generator<Expression> {
  yield node
  for (const part of partsOf(node)) yield* nodesOf(part)
}
