import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { packZip } from '../../functions/zip.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-zip-'))
after(() => rmSync(dir, { recursive: true }))

const files = [
  { name: 'package.json', data: Buffer.from('{}') },
  { name: 'index.js', data: Buffer.from('x'.repeat(100_000)) },
  { name: 'schemas/ü.avsc', data: Buffer.alloc(0) },
]

test('packZip() gives the same bytes in whatever order the files come', () => {
  const one = packZip(files)
  assert.deepEqual(one, packZip(files.toReversed()))
  assert.ok(one.length < 2000)
})

test('another reader finds every file, its bytes and its sum, and no date but the first', () => {
  const path = join(dir, 'a.zip')
  writeFileSync(path, packZip(files))
  const script = `
import sys, zipfile, json
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    print(json.dumps([[i.filename, z.read(i).decode(), i.date_time, oct(i.external_attr >> 16)] for i in z.infolist()]))`
  const said = execFileSync('python3', ['-c', script, path], { encoding: 'utf8' })
  const date = [1980, 1, 1, 0, 0, 0]
  assert.deepEqual(JSON.parse(said), [
    ['index.js', 'x'.repeat(100_000), date, '0o100644'],
    ['package.json', '{}', date, '0o100644'],
    ['schemas/ü.avsc', '', date, '0o100644'],
  ])
})

test('packZip() refuses a name twice', () => {
  assert.throws(() => packZip([...files, ...files]), {
    code: 'input_invalid',
    message: 'Cannot pack a zip: "index.js" is there twice',
  })
})
