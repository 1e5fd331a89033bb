import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseIvoid } from '../../../gateways/voevent/ivoid.ts'

const refused = (text: string): void => {
  assert.throws(() => parseIvoid(text), { code: 'input_invalid' }, text)
}

test('parseIvoid() takes authorities, resources and local parts apart', () => {
  assert.deepEqual(parseIvoid('ivo://org.example/stream#ev1'), {
    authority: 'org.example',
    resource: '/stream',
    local: 'ev1',
  })
  assert.deepEqual(parseIvoid('ivo://org.example#'), {
    authority: 'org.example',
    resource: '',
    local: '',
  })
})

test('parseIvoid() knows the good authorities from the bad', () => {
  for (const good of [
    'nasa.heasarc',
    'n_1a.alph-0.02',
    '123',
    '1auth',
    ...`-_.~*'()`.split('').map((sign) => `aa${sign}a`),
  ]) {
    assert.equal(parseIvoid(`ivo://${good}/rsrc#id`).authority, good)
  }
  for (const bad of ['au', 'a2', '_auth', '_temporary.id', 'DAT%41', 'de!uni-hd!physics#ari']) {
    refused(`ivo://${bad}/rsrc#id`)
  }
  for (const sign of '?;:@!&$,<>%"`{}|\\^[]+=') refused(`ivo://aa${sign}a/rsrc#id`)
})

test('parseIvoid() knows the good resources from the bad', () => {
  for (const good of ['', '/rsrc', '/rsrc/rsrc', '/_rsrc', '/1rsrc', '/user/STScI_1/1a-7z.u']) {
    assert.equal(parseIvoid(`ivo://authority${good}#id`).resource, good)
  }
  for (const bad of [
    '/',
    '/data/',
    '/data//other',
    '/data/c/../d',
    '/data/./d',
    '/data!g-vo.org',
    '/user/M%fcller',
    '/rsrc/',
  ]) {
    refused(`ivo://authority${bad}#id`)
  }
})

test('parseIvoid() knows the good local parts from the bad', () => {
  for (const sign of "azAZ09-._~%!$&'()*+,;=:@/?") {
    assert.equal(parseIvoid(`ivo://authority/rsrc#${sign}`).local, sign)
  }
  for (const sign of '#[]') refused(`ivo://authority/rsrc#${sign}`)
  for (const bad of [
    'ivo://#localID',
    'ivo:///resourceKey#',
    'ivo://',
    'http://authority/rsrc#x',
    'ivo://ünïcode/x#y',
    'ivo://authority/rsrc#a\n',
  ]) {
    refused(bad)
  }
})
