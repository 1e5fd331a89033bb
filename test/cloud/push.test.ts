import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import { suite, test } from 'node:test'

import { createPushCheck } from '../../cloud/push.ts'

const audience = 'https://archive-abc.a.run.app'
const email = 'ztf-push@my-project.iam.gserviceaccount.com'

const pem = { type: 'spki', format: 'pem' } as const
const ours = generateKeyPairSync('rsa', { modulusLength: 2048 })
const theirs = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keys = async () => ({ k1: ours.publicKey.export(pem).toString() })

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function token(claims: object, { kid = 'k1', key = ours.privateKey, alg = 'RS256' } = {}): string {
  const now = Math.floor(Date.now() / 1000)
  const said = { iss: 'https://accounts.google.com', aud: audience, iat: now, exp: now + 3600 }
  const text = `${part({ alg, kid, typ: 'JWT' })}.${part({ ...said, ...claims })}`
  return `Bearer ${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`
}

suite('createPushCheck()', () => {
  const check = createPushCheck({ audience, email, keys })
  const good = { email, email_verified: true }
  const now = Math.floor(Date.now() / 1000)

  test('takes what Google signed for this audience and this account', async () => {
    await check(token(good))
    await check(token({ ...good, iss: 'accounts.google.com' }))
  })

  const refused: [string, string | undefined][] = [
    ['no header', undefined],
    ['another scheme', 'Basic dTpw'],
    ['no token', 'Bearer '],
    ['another key', token(good, { key: theirs.privateKey })],
    ['a key id that is not known', token(good, { kid: 'k2' })],
    ['another audience', token({ ...good, aud: 'https://elsewhere' })],
    ['another issuer', token({ ...good, iss: 'https://accounts.evil.example' })],
    ['another account', token({ ...good, email: 'me@my-project.iam.gserviceaccount.com' })],
    ['no account', token({})],
    ['an account that is not verified', token({ ...good, email_verified: false })],
    ['a token that has expired', token({ ...good, iat: now - 8000, exp: now - 4000 })],
    ['a token that is not valid yet', token({ ...good, iat: now + 3000, exp: now + 6000 })],
    ['a token that lives for ever', token({ ...good, exp: now + 10_000_000 })],
    [
      'claims that were changed',
      token(good).replace(/\.[^.]+\./, `.${part({ ...good, aud: 1 })}.`),
    ],
    ['no signature at all', `Bearer ${part({ alg: 'none' })}.${part({ ...good, aud: audience })}.`],
  ]
  for (const [what, header] of refused) {
    test(`refuses ${what}, and repeats no token`, async () => {
      await assert.rejects(check(header), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'input_invalid')
        assert.match(error.message, /^Cannot take a push: ./)
        assert.doesNotMatch(error.message, /eyJ|[^.]\.$/)
        return true
      })
    })
  }

  test('tells that the keys do not come as what may pass', async () => {
    const offline = createPushCheck({
      audience,
      email,
      keys: () => Promise.reject(new Error('offline')),
    })
    await assert.rejects(offline(token(good)), { code: 'source_failed' })
  })
})
