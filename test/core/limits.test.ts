import assert from 'node:assert/strict'
import { test } from 'node:test'

import { attributeValue, checkMessage, maxMessageBytes, messageBytes } from '../../core/limits.ts'

test('attributeValue() keeps what fits and cuts the rest at a whole character', () => {
  const table: [string, string][] = [
    ['', ''],
    ['x'.repeat(1024), 'x'.repeat(1024)],
    ['x'.repeat(1025), 'x'.repeat(1024)],
    ['é'.repeat(512), 'é'.repeat(512)],
    [`x${'é'.repeat(512)}`, `x${'é'.repeat(511)}`],
    ['☄'.repeat(400), '☄'.repeat(341)],
    [`x${'𝛼'.repeat(300)}`, `x${'𝛼'.repeat(255)}`],
  ]
  for (const [text, expected] of table) {
    const value = attributeValue(text)
    assert.equal(value, expected)
    checkMessage({ data: new Uint8Array(), attributes: { value } })
  }
})

test('messageBytes() counts bytes of UTF-8, not characters', () => {
  const message = { data: new Uint8Array(10), attributes: { é: '☄', k: '𝛼x' } }
  assert.equal(messageBytes(message), 10 + 2 + 3 + 1 + 5)
})

test('checkMessage() says how much there is and how much is allowed', () => {
  const data = new Uint8Array(maxMessageBytes + 1)
  assert.throws(() => checkMessage({ data, attributes: {} }), {
    code: 'message_too_large',
    message: 'Cannot publish a message of 10000001 bytes: at most 10000000 are allowed',
  })
  checkMessage({ data: data.subarray(1), attributes: {} })
})
