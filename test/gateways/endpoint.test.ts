import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatEndpoint, parseEndpoint, type Endpoint } from '../../gateways/endpoint.ts'

const usual = { host: '0.0.0.0', port: 8099 }

const forms: [string, Endpoint][] = [
  ['10000', { kind: 'tcp', host: '0.0.0.0', port: 10000 }],
  ['0.0.0.0:10000', { kind: 'tcp', host: '0.0.0.0', port: 10000 }],
  [':10000', { kind: 'tcp', host: '0.0.0.0', port: 10000 }],
  ['[::1]:10000', { kind: 'tcp', host: '::1', port: 10000 }],
  ['broker.example.org', { kind: 'tcp', host: 'broker.example.org', port: 8099 }],
  ['broker.example.org:8098', { kind: 'tcp', host: 'broker.example.org', port: 8098 }],
  ['tcp:8098', { kind: 'tcp', host: '0.0.0.0', port: 8098 }],
  ['tcp:8098:interface=127.0.0.1', { kind: 'tcp', host: '127.0.0.1', port: 8098 }],
  ['tcp:broker:8098', { kind: 'tcp', host: 'broker', port: 8098 }],
  ['tcp:interface=\\:\\:1:port=20000', { kind: 'tcp', host: '::1', port: 20000 }],
  [
    'tcp:interface=10.0.0.1:port=20000:device=eth0',
    { kind: 'tcp', host: '10.0.0.1', port: 20000, device: 'eth0' },
  ],
  [
    'tls:interface=0.0.0.0:port=443:key=/a\\:b/k.pem:cert=c.pem',
    { kind: 'tls', host: '0.0.0.0', port: 443, tls: { key: '/a:b/k.pem', cert: 'c.pem' } },
  ],
  ['unix:/run/nightjar.sock', { kind: 'unix', path: '/run/nightjar.sock' }],
]

for (const [text, endpoint] of forms) {
  test(`an endpoint "${text}" is ${formatEndpoint(endpoint)}`, () => {
    assert.deepEqual(parseEndpoint(text, usual), endpoint)
  })
}

test('what is no endpoint is refused with what is wrong', () => {
  const faults: [string, string][] = [
    ['udp:53:x', 'Cannot take endpoint "udp:53:x": "udp" is none of tcp, tls and unix'],
    [
      'tcp:port=70000',
      'Cannot take endpoint "tcp:port=70000": port "70000" is no number from 0 to 65535',
    ],
    [
      'tcp:port=1:colour=red',
      'Cannot take endpoint "tcp:port=1:colour=red": it has no option "colour"',
    ],
    ['unix:', 'Cannot take endpoint "unix:": a Unix socket needs a path'],
  ]
  for (const [text, message] of faults) {
    assert.throws(() => parseEndpoint(text, usual), { code: 'config_invalid', message })
  }
  assert.throws(() => parseEndpoint('broker', { host: '0.0.0.0' }), {
    message: 'Cannot take endpoint "broker": it names no port',
  })
})
