import assert from 'node:assert/strict'
import { test } from 'node:test'

import { tarEnd, tarMember } from '../../simulator/tar.ts'
import { untar } from './untar.ts'

test('tarMember() writes what tar reads, with the time to the millisecond', async () => {
  const first = Buffer.from('first')
  const second = Buffer.alloc(1024, 7)
  const archive = Buffer.concat([
    tarMember('topic/0/000000000000.avro', first, 1795226345678),
    tarMember('topic/15/000000000001.avro', second, 1795226345000),
    tarMember('topic/15/000000000002.avro', Buffer.alloc(0), 1795226345009),
    tarEnd,
  ])
  assert.deepEqual(await untar(archive), [
    { name: 'topic/0/000000000000.avro', mtime: '1795226345.678', data: first },
    { name: 'topic/15/000000000001.avro', mtime: '1795226345.000', data: second },
    { name: 'topic/15/000000000002.avro', mtime: '1795226345.009', data: Buffer.alloc(0) },
  ])
})
