import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  groupOfStream,
  parseAddress,
  parseConfig,
  showConfig,
  streamOf,
  topicsOfStream,
} from '../../consumer/config.ts'

const stream = { survey: 'ztf', brokers: ['localhost:9092'], topics: ['ztf_{night}_programid1'] }

const faultsOf = (settings: unknown, env = {}): string[] => {
  try {
    parseConfig(settings, env)
  } catch (error) {
    assert(error instanceof Error && 'code' in error)
    assert.equal(error.code, 'config_invalid')
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => line.trim())
  }
  return []
}

test('parseConfig() takes a stream of a few lines', () => {
  const { config, warnings } = parseConfig({ streams: { ztf: stream } }, {})
  assert.deepEqual(warnings, [])
  assert.deepEqual(config, {
    streams: {
      ztf: {
        name: 'ztf',
        survey: 'ztf',
        brokers: ['localhost:9092'],
        topics: ['ztf_{night}_programid1'],
        clientId: 'nightjar',
      },
    },
  })
  assert.deepEqual(topicsOfStream(streamOf(config, 'ztf'), '20261121'), ['ztf_20261121_programid1'])
})

test('parseConfig() reports every fault at once: path, value, and what is allowed', () => {
  const settings = {
    instance: 'X',
    streams: {
      ztf: { survy: 'ztf', brokers: ['nohost', 3], topics: [], sasl: { mechanism: 'kerberos' } },
      lsst: {
        ...stream,
        survey: 'lsst',
        topics: ['x y'],
        tls: { cert: 'a.pem' },
        sasl: { mechanism: 'gssapi', principal: 'nobody' },
        registry: { url: 'http://registry.example.org' },
      },
    },
    metrics: { listen: 9464 },
  }
  assert.deepEqual(faultsOf(settings), [
    'instance: "X" must be a letter and up to 14 letters or digits, lower case',
    'streams.ztf.survey: is missing: it must be one of ztf, lsst',
    'streams.ztf.brokers[0]: "nohost" must be host:port, such as "kafka.example.org:9092"',
    'streams.ztf.brokers[1]: 3 must be host:port, such as "kafka.example.org:9092"',
    'streams.ztf.topics: [] must be a list of at least one item, each a Kafka topic such as ' +
      '"ztf_{night}_programid1": letters, digits, ".", "_", "-"',
    'streams.ztf.sasl.mechanism: "kerberos" must be one of plain, scram-sha-256, scram-sha-512, ' +
      'oauthbearer, gssapi',
    'streams.ztf.survy: is not known here: is it "survey"?',
    'streams.lsst.topics[0]: "x y" must be a Kafka topic such as "ztf_{night}_programid1": ' +
      'letters, digits, ".", "_", "-"',
    'streams.lsst.tls.key: must be given with the other of the two',
    'streams.lsst.sasl.principal: "nobody" must be a principal such as "reader@KAFKA.SECURE"',
    'streams.lsst.registry.url: "http://registry.example.org" must be an https:// URL without a ' +
      'password; http:// only on this machine',
    'metrics.listen: 9464 must be host:port, such as "127.0.0.1:9464"',
  ])
})

test('parseConfig() and showConfig() never repeat a secret', () => {
  const sasl = { mechanism: 'plain', username: 'reader', password: 'hunter2' }
  const registry = { url: 'https://reader:hunter2@registry.example.org' }
  const faults = faultsOf({ streams: { ztf: { ...stream, sasl, registry } } }).join('\n')
  assert.match(faults, /https:\/\/…@registry/)
  assert.doesNotMatch(faults, /hunter2/)
  const odd = { ...sasl, password: { secret: 'hunter2' } }
  assert.doesNotMatch(faultsOf({ streams: { ztf: { ...stream, sasl: odd } } }).join(), /hunter2/)

  const { config, warnings } = parseConfig({ streams: { ztf: { ...stream, sasl } } }, {})
  assert.match(JSON.stringify(showConfig(config)), /"password":"\(in the file, not shown\)"/)
  assert.doesNotMatch(JSON.stringify(showConfig(config)), /hunter2/)
  assert.match(warnings.join(), /streams\.ztf\.sasl\.password: a secret stands in the file itself/)
  assert.match(warnings.join(), /plain without TLS sends the password in the clear/)
})

test('a secret is taken by reference, and a variable that is not set is a fault', () => {
  const sasl = { mechanism: 'scram-sha-512', username: 'u', password: { env: 'SECRET' } }
  const settings = { streams: { lsst: { ...stream, survey: 'lsst', sasl } } }
  assert.deepEqual(faultsOf(settings), [
    'streams.lsst.sasl.password: needs the environment variable SECRET, which is not set',
  ])
  const { config } = parseConfig(settings, { SECRET: 'hunter2' })
  assert.deepEqual(streamOf(config, 'lsst').sasl, {
    mechanism: 'scram-sha-512',
    username: 'u',
    password: { from: 'env', name: 'SECRET' },
  })
})

test('the environment sets single values, lists and secrets among them', () => {
  const { config, warnings } = parseConfig(
    { streams: { 'gcn-1': { ...stream, tls: true, sasl: { mechanism: 'plain' } } } },
    {
      NIGHTJAR__STREAMS__GCN_1__BROKERS: 'a:1, b:2',
      NIGHTJAR__STREAMS__GCN_1__TLS: 'false',
      NIGHTJAR__STREAMS__GCN_1__SASL__USERNAME: 'u',
      NIGHTJAR__STREAMS__GCN_1__SASL__PASSWORD: 'hunter2',
      NIGHTJAR__METRICS__LISTEN: '[::1]:9464',
      NIGHTJAR_HOME: '/ignored',
    },
  )
  const found = streamOf(config, 'gcn-1')
  assert.deepEqual(found.brokers, ['a:1', 'b:2'])
  assert.equal(found.tls, undefined)
  assert.deepEqual(config.metrics, { host: '::1', port: 9464 })
  assert.doesNotMatch(JSON.stringify(config) + warnings.join(), /hunter2/)
})

test("an LSST group begins with the user's name and every group carries survey and instance", () => {
  const sasl = { mechanism: 'scram-sha-512', username: 'pgb', password: { file: '/x' } }
  const { config } = parseConfig(
    { streams: { lsst: { ...stream, survey: 'lsst', sasl }, ztf: { ...stream, sasl } } },
    {},
  )
  const at = { survey: 'lsst', project: 'local', instance: 'rc1' } as const
  assert.equal(groupOfStream(streamOf(config, 'lsst'), at), 'pgb-nightjar-lsst-rc1')
  const { survey, project } = { survey: 'ztf', project: 'local' } as const
  assert.equal(
    groupOfStream(streamOf(config, 'ztf'), { survey, project }),
    'nightjar-ztf-production',
  )
})

test('streamOf() names the streams that there are', () => {
  const { config } = parseConfig({ streams: { ztf: stream } }, {})
  assert.throws(() => streamOf(config, 'zft'), {
    code: 'config_invalid',
    message: 'Cannot take stream "zft": configured are ztf',
  })
  assert.throws(() => streamOf(config, 'toString'), { code: 'config_invalid' })
})

test('parseAddress() knows names, IPv4, IPv6 in brackets, and ports', () => {
  assert.deepEqual(parseAddress('a.b-c:9092'), { host: 'a.b-c', port: 9092 })
  assert.deepEqual(parseAddress('[::1]:1'), { host: '::1', port: 1 })
  for (const wrong of ['a', 'a:', ':1', 'a:65536', '::1:1', 'a b:1', 'a:1:2']) {
    assert.equal(parseAddress(wrong), undefined, wrong)
  }
})

test('a stream that is relayed aside needs no survey, has no nights, and names a topic that can be', () => {
  const notices = { to: 'gcn_notices', brokers: ['localhost:9092'], topics: ['gcn.circulars'] }
  const { config } = parseConfig({ streams: { gcn: notices } }, {})
  assert.equal(streamOf(config, 'gcn').relayTo, 'gcn_notices')
  assert.deepEqual(
    faultsOf({ streams: { gcn: { ...notices, topics: ['gcn_{night}'], to: '1x' } } }),
    [
      'streams.gcn.to: "1x" must be a topic such as "gcn_notices": 3 to 200 of letters, digits, ".", "_", "-", a letter first',
      'streams.gcn.topics: ["gcn_{night}"] must be the same every night where `to` is given: only alerts have nights',
    ],
  )
})
