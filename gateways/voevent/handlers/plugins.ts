/** Plugins: handlers that users bring, as ES modules in folders of a search path. */
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

import { NightjarError, sentenceOf } from '../../../core/errors.ts'
import type { Handler } from './handler.ts'

/** An option of a plugin: `--NAME-OPTION=value` on the command line. */
export interface PluginOption {
  name: string
  default?: string
  help: string
}

/**
 * What a module exports as its default:
 *
 *     export default {
 *       name: 'count',
 *       options: [{ name: 'file', default: 'count.txt', help: 'where to count' }],
 *       create: ({ file }) => ({ name: 'count', handle: async ({ ivorn }) => { … } }),
 *     }
 */
export interface Plugin {
  name: string
  options?: readonly PluginOption[]
  create(values: Readonly<Record<string, string>>): Handler
}

/** The folders of a search path, `COMET_PLUGINPATH` or our own. */
export const foldersOf = (path: string | undefined): string[] =>
  (path ?? '').split(delimiter).filter((folder) => folder !== '')

/** Load every plugin of the folders. Throws `config_invalid` for a module that is none. */
export async function loadPlugins(folders: readonly string[]): Promise<Plugin[]> {
  const plugins: Plugin[] = []
  for (const folder of folders) {
    if (!existsSync(folder)) continue
    const files = readdirSync(folder).filter(
      (file) => /\.(mjs|js|ts)$/.test(file) && !/\.d\.ts$/.test(file),
    )
    for (const file of files.sort()) plugins.push(await load(join(resolve(folder), file)))
  }
  return plugins
}

async function load(path: string): Promise<Plugin> {
  const refuse = (why: string, cause?: unknown): never => {
    throw new NightjarError('config_invalid', `Cannot load plugin "${path}": ${why}`, { cause })
  }
  let found: unknown
  try {
    found = ((await import(pathToFileURL(path).href)) as { default?: unknown }).default
  } catch (error) {
    return refuse(sentenceOf(error), error)
  }
  if (!isPlugin(found)) return refuse('its default export has no name and no create()')
  if (!/^[a-z][a-z0-9-]*$/.test(found.name))
    refuse(`"${found.name}" cannot be the name of an option`)
  return found
}

function isPlugin(value: unknown): value is Plugin {
  if (typeof value !== 'object' || value === null) return false
  const { name, create } = value as Partial<Plugin>
  return typeof name === 'string' && typeof create === 'function'
}
