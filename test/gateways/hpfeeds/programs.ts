/** hpfeeds gateways and hpfeeds' own programs as processes, and TLS files for them. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

import { peersDir, skipWithout } from '../../data.ts'
import { repository, startNightjar, startProgram, type Started } from '../../night/harness.ts'

const python = join(peersDir, 'hpfeeds/bin/python')
const runner = join(repository, 'test/peers/hpfeeds_run.py')

export const skipWithoutHpfeeds = skipWithout(python, '"make peers" installs hpfeeds')

const children: Started[] = []

/** Start a program that does not outlive its test file, whatever becomes of the tests. */
function track(started: Started): Started {
  children.push(started)
  return started
}

/** For the end of a test file: nothing is left running. */
export function endPrograms(): void {
  for (const { child } of children) if (child.exitCode === null) child.kill('SIGKILL')
}

/** Run `nightjar` as a process. */
export const start = (
  words: readonly string[],
  options?: { env?: Record<string, string>; cwd?: string },
): Started => track(startNightjar(words, options))

export interface Gateway {
  started: Started
  ports: number[]
  metricsPort: number
  /** Stop it as a person would; answers what it said. */
  stop(): Promise<string>
}

/** Start a gateway and wait until it listens. */
export async function startGateway(
  words: readonly string[],
  options: { cwd: string; env?: Record<string, string> },
): Promise<Gateway> {
  const started = start(['gateway', 'hpfeeds', ...words], options)
  await started.until(/gateway_started .*\n/)
  const { err } = started.said()
  const [, listening = ''] = /listening=\[([^\]]*)\]/.exec(err.replaceAll('\\', '')) ?? []
  const [, metrics] = /metrics=\S*:(\d+)/.exec(err) ?? []
  return {
    started,
    ports: [...listening.matchAll(/:(\d+)"/g)].map(([, port]) => Number(port)),
    metricsPort: Number(metrics),
    async stop() {
      started.child.kill('SIGTERM')
      const ended = await started.ended
      assert.equal(ended.status, 0, ended.err)
      return ended.err
    },
  }
}

/** Start hpfeeds' own client. */
export const startCli = (words: readonly string[]): Started =>
  track(startProgram(python, ['-u', runner, 'cli', ...words]))

/** Start hpfeeds' own broker and wait until it answers. */
export async function startHpfeedsBroker(
  words: readonly string[],
  options: { cwd: string; env?: Record<string, string> },
): Promise<{ started: Started; port: number; metricsPort: number }> {
  const [port, metricsPort] = [await freePort(), await freePort()]
  // Without an exporter of its own choice it opens one on port 8080.
  const places = ['--bind', `127.0.0.1:${port}`, '--exporter', `127.0.0.1:${metricsPort}`]
  const started = track(
    startProgram(python, ['-u', runner, 'broker', ...places, ...words], options),
  )
  await answering(port)
  return { started, port, metricsPort }
}

/** A port that nobody had a moment ago, for programs that cannot take one of the system's choice. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answering(port: number): Promise<void> {
  for (let tries = 0; ; tries++) {
    const isThere = await new Promise<boolean>((resolve) => {
      const probe = connect({ host: '127.0.0.1', port })
      probe.once('connect', () => resolve(true)).once('error', () => resolve(false))
      probe.once('connect', () => probe.destroy())
    })
    if (isThere) return
    assert.ok(tries < 200, `nobody answers at port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A self-signed certificate for 127.0.0.1, made as the hpfeeds documentation does. */
export function makeCertificate(folder: string, name = 'broker'): { key: string; cert: string } {
  const [key, cert] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)]
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-sha256', '-days', '10'],
      ...['-keyout', key, '-out', cert, '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
    ],
    { stdio: 'ignore' },
  )
  return { key, cert }
}

/** What a gateway counts, as name and labels to value. */
export async function metricsAt(port: number): Promise<Map<string, number>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`)
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain/)
  const lines = (await response.text()).split('\n').filter((line) => /^[a-z]/.test(line))
  return new Map(
    lines.map((line) => {
      const space = line.lastIndexOf(' ')
      return [line.slice(0, space), Number(line.slice(space + 1))]
    }),
  )
}
