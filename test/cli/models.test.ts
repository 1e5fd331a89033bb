import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'

import { pack } from 'tar-stream'

import { loadModel } from '../../functions/salt2/model-files.ts'
import { runHere } from '../night/harness.ts'
import { salt2Dir, skipWithoutSalt2 } from '../salt2/model-data.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-models-'))
after(() => rmSync(dir, { recursive: true }))

const published = join(salt2Dir, 'models/salt2-4')

test('nightjar models list shows the tables that come with the program', async () => {
  const { out, status } = await runHere(['models', 'list', '--home', join(dir, 'none'), '--json'])
  assert.equal(status, 0)
  const [first] = JSON.parse(out) as { name: string; bands: string[]; redshifts: number[] }[]
  assert.deepEqual(first?.bands, ['ztfg', 'ztfr', 'ztfi'])
  assert.deepEqual(first.redshifts, [0, 0.25])
})

test(
  'a model is installed from a directory, once, and is what it was',
  { skip: skipWithoutSalt2 },
  async () => {
    const home = join(dir, 'home')
    const words = ['models', 'install', published, '--home', home]
    const first = await runHere(words)
    assert.equal(first.status, 0, first.err)
    assert.match(first.out, /salt2-4: salt2, \d+ files, bands .*ztfg/)
    assert.match((await runHere(words)).out, /is there already/)

    const target = join(home, 'models/salt2-4')
    assert.deepEqual(readdirSync(join(home, 'models')), ['salt2-4'])
    const model = await loadModel(target)
    assert.equal(model.name, 'salt2-4')
    assert.ok(model.bands.includes('ztfr'))

    appendFileSync(join(target, 'salt2_color_dispersion.dat'), '12000 1\n')
    await assert.rejects(loadModel(target), /it is not what was installed/)
    assert.equal((await runHere(['models', 'list', '--home', home])).status, 1)
  },
)

test(
  'a model is installed from an archive on the web, if it has the checksum',
  { skip: skipWithoutSalt2 },
  async () => {
    const tar = pack()
    for (const file of readdirSync(published)) {
      const text = gunzipSync(readFileSync(join(published, file)))
      tar.entry({ name: `salt2-4/${file.replace(/\.gz$/, '')}` }, text)
    }
    tar.entry({ name: '../../escape.sh' }, 'echo')
    tar.finalize()
    const chunks: Uint8Array[] = []
    for await (const chunk of tar) chunks.push(chunk as Uint8Array)
    const archive = gzipSync(Buffer.concat(chunks))
    const sum = createHash('sha256').update(archive).digest('hex')
    const server = createServer((_, response) => response.end(archive)).listen(0, '127.0.0.1')
    await new Promise((listening) => server.once('listening', listening))
    try {
      const address = server.address()
      assert.ok(typeof address === 'object' && address !== null)
      const url = `http://127.0.0.1:${address.port}/salt2-4.tar.gz`
      const home = join(dir, 'web')
      const install = (...more: string[]) =>
        runHere(['models', 'install', url, '--home', home, ...more])

      const wrong = await install('--sha256', 'ab'.repeat(32))
      assert.equal(wrong.status, 2)
      assert.ok(wrong.err.includes(`its SHA-256 is ${sum}`))
      const without = await install('--sha256', sum)
      assert.match(without.err, /no bandpasses near .*--bandpasses/)
      assert.equal(existsSync(home), false)

      const right = await install('--sha256', sum, '--bandpasses', join(salt2Dir, 'bandpasses'))
      assert.equal(right.status, 0, right.err)
      assert.equal((await loadModel(join(home, 'models/salt2-4'))).name, 'salt2-4')
      assert.equal(existsSync(join(home, 'escape.sh')), false)
    } finally {
      server.close()
      server.closeAllConnections()
    }
  },
)

test(
  'what is no model is refused, and nothing is written',
  { skip: skipWithoutSalt2 },
  async () => {
    const home = join(dir, 'refused')
    const refused = async (pattern: RegExp, source: string, ...more: string[]): Promise<void> => {
      const { err, status } = await runHere(['models', 'install', source, '--home', home, ...more])
      assert.notEqual(status, 0)
      assert.match(err, pattern)
      assert.equal(existsSync(home), false)
    }
    await refused(/it has no file salt2_/, join(salt2Dir, 'bandpasses'))
    await refused(/Cannot read .*nowhere.tar/, join(dir, 'nowhere.tar'))
    await refused(/Cannot call a model "..\/up"/, published, '--name', '../up')
    const broken = join(dir, 'broken')
    cpSync(published, broken, { recursive: true })
    rmSync(join(broken, 'salt2_color_correction.dat.gz'))
    await refused(/it has no file salt2_color_correction.dat/, broken)
  },
)
