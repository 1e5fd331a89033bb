import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { repository, runHere } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-config-'))
after(() => rmSync(dir, { recursive: true }))

const example = join(repository, 'docs/nightjar.toml')

const file = (text: string): string => {
  const path = join(dir, 'nightjar.toml')
  writeFileSync(path, text)
  return path
}

test('the example in the documentation is in order', async () => {
  const { out, status } = await runHere(['config', 'show', example])
  assert.equal(status, 0)
  const shown = JSON.parse(out) as { streams: Record<string, { sasl: Record<string, unknown> }> }
  assert.deepEqual(Object.keys(shown.streams), ['ztf', 'lsst', 'mirror', 'gcn'])
  assert.equal(shown.streams['lsst']?.sasl['password'], '(file /run/secrets/lsst-password)')
})

test('config check ends with 2 and every fault, in the words of the file', async () => {
  const path = file('[streams.ztf]\nsurvey = "ztf"\nbroker = ["a:1"]\ntopics = ["x"]\n')
  const { err, status } = await runHere(['config', 'check', path])
  assert.equal(status, 2)
  assert.match(err, /Cannot take the configuration: 2 faults\n/)
  assert.match(err, /streams\.ztf\.brokers: is missing/)
  assert.match(err, /streams\.ztf\.broker: is not known here: is it "brokers"\?/)
})

test('config check says where a file is no TOML, without quoting it', async () => {
  const { err, status } = await runHere(['config', 'check', file('a = 1\npassword = "hunter2\n')])
  assert.equal(status, 2)
  assert.match(err, /Cannot read the configuration ".*nightjar\.toml": .*, in line 2/)
  assert.doesNotMatch(err, /hunter2/)
})

test('config check names a file that is not there', async () => {
  const { err, status } = await runHere(['config', 'check', join(dir, 'none.toml')])
  assert.equal(status, 2)
  assert.match(err, /Cannot read the configuration ".*none\.toml": ENOENT/)
})

test('config check looks into the files that the streams of this machine name', async () => {
  const password = join(dir, 'password')
  const text = (secret: string): string => `[streams.ztf]
survey = "ztf"
brokers = ["localhost:9092"]
topics = ["ztf_{night}_programid1"]
tls = { ca = "${dir}/ca.pem" }
sasl = { mechanism = "scram-sha-512", username = "u", password = { file = "${secret}" } }
[streams.kerberos]
survey = "ztf"
brokers = ["localhost:9092"]
topics = ["ztf_{night}_programid1"]
sasl = { mechanism = "gssapi", keytab = "${dir}/ca.pem" }
`
  writeFileSync(password, 'hunter2')
  writeFileSync(join(dir, 'ca.pem'), 'no certificate')
  const { err, status } = await runHere(['config', 'check', file(text(join(dir, 'no-password')))])
  assert.equal(status, 2)
  assert.match(err, /streams\.ztf: Cannot read a secret from file ".*no-password": ENOENT/)
  assert.match(err, /streams\.ztf: Cannot use TLS authorities ".*ca\.pem": it holds no certificate/)
  assert.match(err, /streams\.kerberos: Cannot use keytab ".*ca\.pem": it is no keytab/)
  const plain = '[streams.x]\nsurvey = "ztf"\nbrokers = ["a:1"]\ntopics = ["x"]\n'
  const sasl = `sasl = { mechanism = "scram-sha-256", username = "u", password = { file = "${password}" } }`
  const good = await runHere(['config', 'check', file(plain + sasl)])
  assert.match(good.out, /^.*nightjar\.toml is in order: streams x\n$/)
})
