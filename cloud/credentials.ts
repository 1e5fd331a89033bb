/**
 * Whether there are credentials at all, asked before the gRPC clients are: those make a promise for each of
 * their methods when they connect, and without credentials all of them reject with nobody listening, which
 * ends the process.
 */
import { GoogleAuth } from 'google-auth-library'

/** Resolves where there are credentials; rejects with the library's sentence, again at each call. */
export type Ready = () => Promise<void>

const scopes = ['https://www.googleapis.com/auth/cloud-platform']

/** Make the question for a project; an emulator is always ready. */
export function createReady(project: string, emulated: boolean): Ready {
  if (emulated) return async () => {}
  const auth = new GoogleAuth({ projectId: project, scopes })
  let found = false
  return async function ready() {
    if (found) return
    await auth.getClient()
    found = true
  }
}
