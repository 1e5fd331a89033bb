/** Secrets are kept by reference and read when they are used, so that a renewed one is taken up. */
import { readFile } from 'node:fs/promises'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Environment, Secret } from '../core/settings.ts'

export type { Secret } from '../core/settings.ts'

const mostBytes = 64 << 10

/**
 * The text of a secret; a file's last line end is not part of it. Throws `config_invalid` where there
 * is none.
 */
export async function readSecret(secret: Secret, env: Environment): Promise<string> {
  switch (secret.from) {
    case 'inline':
      return secret.value
    case 'env': {
      const value = env[secret.name] ?? ''
      if (value !== '') return value
      throw unreadable(`environment variable ${secret.name}`, 'it is not set')
    }
    case 'file': {
      const where = `file "${secret.path}"`
      let bytes: Buffer
      try {
        bytes = await readFile(secret.path)
      } catch (cause) {
        throw unreadable(where, sentenceOf(cause), cause)
      }
      if (bytes.length > mostBytes) throw unreadable(where, `it has ${bytes.length} bytes`)
      const value = bytes.toString().replace(/\r?\n$/, '')
      if (value === '') throw unreadable(where, 'it is empty')
      return value
    }
  }
}

/** How a secret is shown to a person: where it is, never what it is. */
export function showSecret(secret: Secret): string {
  switch (secret.from) {
    case 'file':
      return `(file ${secret.path})`
    case 'env':
      return `(environment variable ${secret.name})`
    case 'inline':
      return '(in the file, not shown)'
  }
}

function unreadable(where: string, why: string, cause?: unknown): NightjarError {
  return new NightjarError('config_invalid', `Cannot read a secret from ${where}: ${why}`, {
    cause,
  })
}
