/**
 * The stacks as text that a person can review: a line for each argument, sorted, without what changes with
 * every bundle. `make golden` writes them to `test/infra/golden/`; a change of the stack is then seen in the
 * diff, line by line.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { everyStack, production } from './stacks.ts'

export const goldenFolder = resolve(import.meta.dirname, 'golden')

/** `name.txt` and its text, of every stack of production with both surveys. */
export async function goldenTexts(): Promise<Map<string, string>> {
  const stacks = await everyStack(production)
  return new Map(stacks.map(({ name, text }) => [`${name}.txt`, goldenText(text)]))
}

/** One stack. Throws where the text is no JSON. */
export function goldenText(text: string): string {
  const { '//': _, ...stack } = JSON.parse(text) as Record<string, unknown>
  const lines = linesOf(stack, '').map(masked).sort()
  return `${lines.join('\n')}\n`
}

function linesOf(value: unknown, path: string): string[] {
  const inner = typeof value === 'string' && /^[[{]/.test(value) ? parsed(value) : value
  if (typeof inner !== 'object' || inner === null || Object.keys(inner).length === 0) {
    return [`${path} = ${JSON.stringify(inner)}`]
  }
  if (Array.isArray(inner)) {
    return inner.flatMap((item: unknown, at) => linesOf(item, `${path}[${at}]`))
  }
  return Object.entries(inner)
    .filter(([key]) => key !== '//')
    .flatMap(([key, item]) => linesOf(item, path === '' ? key : `${path}.${key}`))
}

/** Schemas and dashboards are JSON within JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

const masked = (line: string): string =>
  line
    .replaceAll(/\b[0-9A-F]{32}\b|\b[0-9a-f]{64}\b/g, '<hash>')
    .replaceAll(/-[0-9a-f]{16}\.(zip|tar\.gz|toml|sh)\b/g, '-<hash>.$1')

if (import.meta.main) {
  mkdirSync(goldenFolder, { recursive: true })
  for (const old of readdirSync(goldenFolder)) rmSync(join(goldenFolder, old))
  for (const [name, text] of await goldenTexts()) {
    writeFileSync(join(goldenFolder, name), text)
    console.log(`test/infra/golden/${name}: ${text.split('\n').length - 1} lines`)
  }
}
