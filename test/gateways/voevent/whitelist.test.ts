import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createWhitelist, everybody } from '../../../gateways/voevent/whitelist.ts'

test('C14 networks are taken in CIDR and with a netmask', () => {
  for (const network of [
    '127.0.0.1/32',
    '127.0.0.1/255.255.255.255',
    '127.0.0.1',
    '127.0.0.0/8',
    '127.0.0.0/255.0.0.0',
  ]) {
    const list = createWhitelist([network])
    assert.ok(list.admits('127.0.0.1'), network)
    assert.ok(list.admits('::ffff:127.0.0.1'), network)
    assert.ok(!list.admits('192.0.2.1'), network)
    assert.ok(!list.admits('::1'), network)
  }
  assert.ok(createWhitelist(['2001:db8::/32']).admits('2001:db8:1::5'))
  assert.ok(!createWhitelist(['2001:db8::/32']).admits('2001:db9::5'))
})

test('C14 an empty list admits nobody, and the default everybody', () => {
  assert.ok(!createWhitelist([]).admits('127.0.0.1'))
  for (const address of ['127.0.0.1', '203.0.113.9', '::1']) {
    assert.ok(createWhitelist(everybody).admits(address))
  }
})

test('C15 who comes over a Unix socket has no address, and is admitted', () => {
  assert.ok(createWhitelist([]).admits(undefined))
})

test('a network with host bits set, or that is none, is refused by name', () => {
  for (const network of [
    '127.0.0.1/24',
    '1.2.3.4/33',
    '1.2.3/24',
    'localhost',
    '1.2.3.4/255.0.255.0',
    '2001:db8::1/32',
    '',
  ]) {
    assert.throws(() => createWhitelist([network]), { code: 'config_invalid' }, network)
  }
})
