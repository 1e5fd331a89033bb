import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { readKeytab } from '../../../consumer/kafka/keytab.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-keytab-'))
after(() => rmSync(dir, { recursive: true }))

const file = (bytes: Uint8Array): string => {
  const path = join(dir, 'test.keytab')
  writeFileSync(path, bytes)
  return path
}

function entry(realm: string, ...parts: string[]): Buffer {
  const text = (value: string): Buffer => {
    const head = Buffer.alloc(2)
    head.writeUInt16BE(Buffer.byteLength(value))
    return Buffer.concat([head, Buffer.from(value)])
  }
  const count = Buffer.alloc(2)
  count.writeUInt16BE(parts.length)
  const body = Buffer.concat([count, text(realm), ...parts.map(text), Buffer.alloc(20)])
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

const head = Buffer.from([5, 2])

test('readKeytab() names each principal once, past holes', async () => {
  const hole = Buffer.from([255, 255, 255, 252, 1, 2, 3, 4])
  const bytes = Buffer.concat([
    ...[head, entry('KAFKA.SECURE', 'reader'), hole, entry('KAFKA.SECURE', 'kafka', 'host')],
    ...[entry('KAFKA.SECURE', 'reader'), Buffer.alloc(8)],
  ])
  assert.deepEqual(await readKeytab(file(bytes)), [
    'reader@KAFKA.SECURE',
    'kafka/host@KAFKA.SECURE',
  ])
})

test('readKeytab() tells what is wrong with a file', async () => {
  const whole = Buffer.concat([head, entry('R', 'a')])
  const cut = file(whole.subarray(0, whole.length - 3))
  await assert.rejects(
    readKeytab(cut),
    /it is cut short or damaged; fetch it again, in binary mode/,
  )
  await assert.rejects(readKeytab(file(Buffer.from('MIT'))), /it is no keytab/)
  await assert.rejects(readKeytab(file(head)), /it holds no key/)
  await assert.rejects(readKeytab(dir), { code: 'config_invalid', message: /it is a folder/ })
  await assert.rejects(readKeytab(join(dir, 'none')), /there is no such file/)
})

test('readKeytab() never fails otherwise, whatever the bytes', async () => {
  const whole = Buffer.concat([head, entry('REALM', 'reader', 'host'), entry('REALM', 'b')])
  for (let at = 0; at < whole.length; at++) {
    for (const value of [0, 1, 127, 128, 255]) {
      const damaged = Buffer.from(whole)
      damaged[at] = value
      await readKeytab(file(damaged)).catch((error: unknown) => {
        assert.equal((error as { code?: string }).code, 'config_invalid')
      })
    }
  }
})
