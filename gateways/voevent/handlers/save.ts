/** `--save-event`: each document as a file, named by its IVORN as Comet names it. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { NightjarError } from '../../../core/errors.ts'
import type { Handler } from './handler.ts'

/** Longer names are not taken by file systems. */
const mostCharacters = 200

/** More documents of one name than this are no accident. */
const mostCopies = 1000

/** A file's name: slashes become `_`, and what is neither letter, digit, `_` nor `.` is left out. */
export function fileNameOf(ivorn: string): string {
  const name = ivorn
    .replace(/^\./, '')
    .replaceAll(/[/\\]/g, '_')
    .replaceAll(/[^0-9A-Za-z_.]/g, '')
    .slice(0, mostCharacters)
  return name === '' || name === '.' || name === '..' ? '_' : name
}

export function saveHandler(folder: string): Handler {
  return {
    name: 'save-event',
    async handle({ bytes, ivorn }) {
      await mkdir(folder, { recursive: true })
      const name = fileNameOf(ivorn)
      for (let copy = 0; copy < mostCopies; copy++) {
        try {
          await writeFile(join(folder, `${name}${'_'.repeat(copy)}`), bytes, { flag: 'wx' })
          return
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        }
      }
      throw new NightjarError(
        'store_failed',
        `Cannot save "${ivorn}" in "${folder}": ${mostCopies} files of its name are there`,
      )
    },
  }
}
