import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { promisify } from 'node:util'

const folder = mkdtempSync(join(tmpdir(), 'nightjar-credentials-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const child = join(import.meta.dirname, 'credentials-child.ts')

/** What each answer says in a process that has no credentials; and that the process lives on. */
async function saidWith(env: Record<string, string>): Promise<Record<string, string>> {
  const { stdout } = await promisify(execFile)(process.execPath, [child], {
    env: { HOME: folder, METADATA_SERVER_DETECTION: 'none', ...env },
    timeout: 60_000,
  })
  return JSON.parse(stdout) as Record<string, string>
}

suite('without credentials', () => {
  const broken = join(folder, 'broken.json')
  writeFileSync(broken, '{"type":"service_account"')
  const worlds: [string, Record<string, string>][] = [
    ['at all', {}],
    ['where the file is missing', { GOOGLE_APPLICATION_CREDENTIALS: join(folder, 'none.json') }],
    ['where the file is broken', { GOOGLE_APPLICATION_CREDENTIALS: broken }],
  ]
  for (const [what, env] of worlds) {
    test(`${what}, every answer says so in one sentence with the remedy`, async () => {
      const said = await saidWith(env)
      assert.deepEqual(Object.keys(said), ['publish', 'receive', 'backlog', 'create', 'append'])
      for (const [deed, sentence] of Object.entries(said)) {
        assert.match(
          sentence,
          /^(publish|source|store|table)_failed: Cannot .+: there are no credentials for project "my-project"/,
          deed,
        )
        assert.match(sentence, /run "gcloud auth application-default login", or set GOOGLE_APP/)
        assert.doesNotMatch(sentence, /\n|\.$/)
      }
    })
  }
})
