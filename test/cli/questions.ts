/** The questions of docs/analysts.md with their statements. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { repository } from '../night/harness.ts'

export interface Question {
  title: string
  /** By engine, `duckdb` or `bigquery`; no engine means both. */
  statements: { engine: string; sql: string }[]
}

/** Read them, in their order. */
export function questions(): Question[] {
  const text = readFileSync(join(repository, 'docs/analysts.md'), 'utf8')
  return text
    .split(/^### /m)
    .slice(1)
    .map((part) => ({
      title: part.slice(0, part.indexOf('\n')),
      statements: [...part.matchAll(/^```sql ?(\w*)\n([\s\S]*?)^```/gm)].map(
        ([, engine = '', sql = '']) => ({ engine, sql }),
      ),
    }))
}
