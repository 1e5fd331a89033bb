import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { listen } from '../../gateways/listen.ts'
import { makeCertificate } from './hpfeeds/programs.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-listen-'))
after(() => rmSync(dir, { recursive: true }))

const quiet = (): void => {}

test('a Unix socket that a killed process left behind is taken over, one that lives is not', async () => {
  const path = join(dir, 'door.sock')
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('ok'))`
  const other = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => other.stdout.once('data', resolve))
  const endpoint = { kind: 'unix', path } as const
  await assert.rejects(listen({ endpoint, accept: quiet, log: quiet }), {
    code: 'source_failed',
    message: /^Cannot listen on "unix:.*": listen EADDRINUSE/,
  })
  other.kill('SIGKILL')
  await new Promise((resolve) => other.once('exit', resolve))
  assert.ok(existsSync(path))
  const listening = await listen({ endpoint, accept: (socket) => socket.end('hello'), log: quiet })
  const said = await new Promise<string>((resolve) => {
    connect({ path }).once('data', (bytes) => resolve(bytes.toString()))
  })
  assert.equal(said, 'hello')
  await listening.close()
  assert.ok(!existsSync(path))
})

test('connections beyond the most are closed at once', async () => {
  const listening = await listen({
    endpoint: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    accept: (socket) => socket.on('end', () => socket.end()).resume(),
    log: quiet,
    maxConnections: 2,
  })
  const { endpoint } = listening
  assert.ok(endpoint.kind === 'tcp' && endpoint.port > 0)
  const { host, port } = endpoint
  const sockets = [1, 2, 3].map(() => connect({ host, port }))
  await new Promise((resolve) => sockets[2]?.once('close', resolve))
  assert.deepEqual(
    sockets.slice(0, 2).map(({ readyState }) => readyState),
    ['open', 'open'],
  )
  for (const socket of sockets) socket.destroy()
  await listening.close()
})

test('a device stands for its first address; one that is not there is named with those that are', async () => {
  const endpoint = { kind: 'tcp', host: '0.0.0.0', port: 0, device: 'lo' } as const
  const listening = await listen({ endpoint, accept: quiet, log: quiet })
  assert.ok(listening.endpoint.kind === 'tcp')
  assert.equal(listening.endpoint.host, '127.0.0.1')
  await listening.close()
  await assert.rejects(
    listen({ endpoint: { ...endpoint, device: 'eth77' }, accept: quiet, log: quiet }),
    { message: /there is no device "eth77" with an address; there are .*lo/ },
  )
})

test('a certificate that cannot be used is refused at the start', async () => {
  const { key, cert } = makeCertificate(dir)
  const broken = join(dir, 'broken.crt')
  writeFileSync(broken, 'no certificate')
  for (const tls of [{ key, cert: broken }, { key: join(dir, 'absent'), cert }, { key }]) {
    const endpoint = { kind: 'tls', host: '127.0.0.1', port: 0, tls } as const
    await assert.rejects(listen({ endpoint, accept: quiet, log: quiet }), {
      code: 'config_invalid',
    })
  }
})

test('a TLS peer that goes away in the middle of its handshake is forgotten', async () => {
  const { key, cert } = makeCertificate(dir, 'second')
  const listening = await listen({
    endpoint: { kind: 'tls', host: '127.0.0.1', port: 0, tls: { key, cert } },
    accept: () => assert.fail('there was no handshake'),
    log: quiet,
  })
  assert.ok(listening.endpoint.kind === 'tls')
  const { host, port } = listening.endpoint
  for (const speak of [
    Buffer.alloc(0),
    Buffer.from('160301', 'hex'),
    Buffer.from('not TLS at all'),
  ]) {
    const socket = connect({ host, port, allowHalfOpen: true })
    socket.on('error', () => {})
    socket.end(speak)
    await new Promise((resolve) => socket.resume().once('close', resolve))
  }
  await listening.close()
})
