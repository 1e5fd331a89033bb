/** Files that may change while a gateway runs: lists of keys, certificates. */
import { unwatchFile, watchFile } from 'node:fs'

const everyMs = 500

/**
 * Call back when one of the files is another than before: written anew, moved into place, or its
 * symbolic link (as Kubernetes mounts them) pointed elsewhere. Answers how to stop. It asks for the
 * file's state twice a second, since notices of change do not follow links.
 */
export function onChange(files: readonly string[], changed: () => void): () => void {
  for (const file of files) watchFile(file, { interval: everyMs, persistent: false }, changed)
  return () => {
    for (const file of files) unwatchFile(file, changed)
  }
}
