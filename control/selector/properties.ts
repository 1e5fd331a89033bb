/** Selectors on messages: names are properties, and what is not there, or not of the four types, is NULL. */
import { compileSelector, type Compiled, type Field, type Vocabulary } from './compile.ts'
import { parseSelector } from './parser.ts'

/** A message's headers and properties by name; integers of 64 bits are bigint. */
export type Properties = Readonly<Record<string, unknown>>

/** Every name is the own property of that name: `constructor` and `__proto__` are names like others. */
export const propertyVocabulary: Vocabulary<Properties> = (name): Field<Properties> => ({
  kind: 'any',
  read: (properties) => (Object.hasOwn(properties, name) ? properties[name] : undefined),
})

/** Parse and compile a selector on properties. Throws `input_invalid` with the column. */
export function propertySelector(text: string): Compiled<Properties> {
  return compileSelector(parseSelector(text), propertyVocabulary)
}
