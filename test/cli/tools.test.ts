import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { serveDatagrams } from '../../control/datagram.ts'
import { formatMessage } from '../../control/message.ts'
import { openCredentials } from '../../local/credentials.ts'
import { makeHome } from '../../local/home.ts'
import { runningServices, takeService } from '../../local/service.ts'
import { temporaryFolder } from '../local/home.ts'
import { runHere } from '../night/harness.ts'

const waitMs = 30_000

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + waitMs; !holds(); await pause(10)) {
    assert.ok(Date.now() < deadline, `never: ${what}`)
  }
}

/** An hpfeeds gateway in a home of its own, in this process, that logs to a file. */
async function gatewayIn(t: TestContext, words: readonly string[] = []) {
  // As JSON each event is a line, where a person is spared some of many.
  const env = { NIGHTJAR_LOG: 'json' }
  const folder = temporaryFolder()
  const home = ['--home', join(folder.path, 'home')]
  const logFile = join(folder.path, 'gateway.log')
  const said = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '')
  const stop = new AbortController()
  const bind = ['--bind', '127.0.0.1:0', '--auth', join(folder.path, 'none.db')]
  const running = runHere(
    ['gateway', 'hpfeeds', ...home, ...bind, '--log-file', logFile, ...words],
    { signal: stop.signal, env },
  )
  t.after(async () => {
    stop.abort()
    await running
    folder.remove()
  })
  await Promise.race([
    until(() => said().includes('gateway_started'), 'gateway_started'),
    running.then(({ err }) => assert.fail(err)),
  ])
  return { folder: folder.path, home, logFile, said, running }
}

/** Where the log says that it listens. */
const listeningAt = (said: string, kind: string): string =>
  new RegExp(`control_opened.*?"${kind}:(127\\.0\\.0\\.1:\\d+)"`).exec(said)?.[1] ??
  assert.fail(`no ${kind} in ${said}`)

test('E16: signal sends one UDP message, to a host or to what a field of a file names', async (t) => {
  const folder = temporaryFolder()
  const taken: string[] = []
  const server = await serveDatagrams({
    ...{ host: '127.0.0.1', port: 0 },
    onMessage: (message) => void taken.push(formatMessage(message).replace(/^<\S+ /, '')),
    onInvalid: (why) => void taken.push(why),
  })
  t.after(async () => {
    await server.close()
    folder.remove()
  })
  const file = join(folder.path, 'fluid.conf')
  const address = `127.0.0.1:${server.port}`
  writeFileSync(
    file,
    `# where\nlisten = ${address}\nempty=\n[control]\nlisten: "${address}" \nold=1.2.3.4 ; no\n`,
  )
  const signal = (...words: string[]) => runHere(['signal', ...words])
  const sent: [words: string[], text: string][] = [
    [['--host', address, 'STOP'], 'STOP'],
    [['-H', `${file}@listen`, 'snap:cluckd/STOP'], 'snap:cluckd/STOP'],
    [
      ['--host', `${file}@control::listen`, '--message', 'snaprfs/LOG_ROTATE'],
      'snaprfs/LOG_ROTATE',
    ],
    [
      [
        '--host',
        `${file}@control.listen`,
        '-s',
        'snap',
        '-S',
        'cluckd',
        'X',
        '-p',
        'a',
        '-p',
        'b=c;d',
      ],
      'snap:cluckd/X a=;b="c;d"',
    ],
  ]
  for (const [words, text] of sent) {
    const { out, err, status } = await signal(...words)
    assert.deepEqual([out, err, status], ['', '', 0], words.join(' '))
    await until(() => taken.length > 0, text)
    assert.equal(taken.shift(), text)
  }
  const refused: [words: string[], status: number, why: RegExp][] = [
    [['--host', `${file}@nothing`, 'STOP'], 1, /it has no field "nothing"/],
    [['--host', `${file}@empty`, 'STOP'], 1, /it has no field "empty"/],
    [['--host', `${file}.none@listen`, 'STOP'], 1, /Cannot read/],
    [
      ['--host', address, '-S', 'a', 'b/STOP'],
      2,
      /service is said by the message and by --service/,
    ],
    [
      ['--host', address, '-s', 'a', 'c:b/STOP'],
      2,
      /server is said by the message and by --server/,
    ],
    [['--host', address], 2, /no message is given/],
    [['--host', address, '-m', 'STOP', 'STOP'], 2, /two messages are given/],
    [['--host', address, 'X', '-p', `a=${'x'.repeat(1100)}`], 1, /a datagram takes 1024/],
    [['--host', address, 'stop'], 1, /a command is A-Z/],
  ]
  for (const [words, wanted, why] of refused) {
    const { err, status } = await signal(...words)
    assert.match(err, why)
    assert.equal(status, wanted, err)
  }
  assert.deepEqual(taken, [])
})

/** A process that does with signals what the script says. */
async function child(t: TestContext, script: string) {
  const process_ = spawn(
    process.execPath,
    ['-e', `${script};setInterval(()=>{},1e3);console.log(1)`],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  )
  t.after(() => process_.kill('SIGKILL'))
  const ended = once(process_, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  await once(process_.stdout, 'data')
  return { pid: process_.pid ?? 0, ended }
}

test('E17: stop sends SIGINT, and SIGTERM to what goes on', async (t) => {
  const gentle = await child(t, `process.on('SIGINT',()=>process.exit(7))`)
  const { err, status } = await runHere(['stop', '--server', String(gentle.pid)])
  assert.deepEqual([err, status], ['', 0])
  assert.deepEqual(await gentle.ended, [7, null])

  const stubborn = await child(t, `process.on('SIGINT',()=>{})`)
  const began = Date.now()
  const second = await runHere(['stop', '--service', String(stubborn.pid), '-t', '1s'])
  assert.deepEqual([second.err, second.status], ['', 0])
  assert.deepEqual(await stubborn.ended, [null, 'SIGTERM'])
  assert.ok(Date.now() - began >= 1000, 'SIGTERM came only when its time was up')
})

test('E17: stop knows programs of the home and units of systemd by name', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const stop = (name: string, env: Record<string, string> = {}) =>
    runHere(['stop', '--server', name, '--home', folder.path], { env })
  const script = `
    import { makeHome } from ${JSON.stringify(import.meta.resolve('../../local/home.ts'))}
    import { takeService } from ${JSON.stringify(import.meta.resolve('../../local/service.ts'))}
    takeService(makeHome(${JSON.stringify(folder.path)}), 'hpfeeds')
    process.on('SIGINT', () => process.exit(3))`
  const program = spawn(
    process.execPath,
    ['--input-type=module-typescript', '-e', `${script};setInterval(()=>{},1e3);console.log(1)`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.after(() => program.kill('SIGKILL'))
  const ended = once(program, 'exit')
  await once(program.stdout, 'data')
  assert.deepEqual(
    runningServices(makeHome(folder.path)).map(({ name, pid }) => [name, pid]),
    [['hpfeeds', program.pid]],
  )
  assert.deepEqual(await stop('hpfeeds'), { out: '', err: '', status: 0 })
  assert.deepEqual(await ended, [3, null])
  // Killed without a word before it could tidy up, it is known to be gone.
  assert.ok(existsSync(join(folder.path, 'hpfeeds.pid')))
  const again = await stop('hpfeeds')
  assert.match(again.err, /hpfeeds does not run/)
  assert.equal(again.status, 0)

  const bin = join(folder.path, 'bin')
  const unit = await child(t, '')
  makeHome(bin)
  writeFileSync(
    join(bin, 'systemctl'),
    `#!/bin/sh\n[ "$4" = good.service ] && echo MainPID=${unit.pid} || echo MainPID=0\n` +
      `[ "$4" = none.service ] && echo LoadState=not-found || echo LoadState=loaded\n`,
    { mode: 0o755 },
  )
  const env = { PATH: `${bin}:/bin:/usr/bin` }
  assert.equal((await stop('good.service', env)).status, 0)
  assert.deepEqual(await unit.ended, [null, 'SIGINT'])
  assert.equal((await stop('idle.service', env)).status, 0)
  const none = await stop('none.service', env)
  assert.match(none.err, /no program of ".*" is called so, and no unit of systemd/)
  assert.equal(none.status, 1)
})

test('E17: stop refuses what is no process, and what names nothing', async () => {
  for (const [words, wanted, why] of [
    [['--server', '0'], 1, /there is no process 0/],
    [['--server', '1'], 1, /there is no process 1/],
    [['--server', '4194399'], 1, /there is no process/],
    [['--server', '99999999999999999999'], 1, /there is no process/],
    [[], 2, /say whom, by --server/],
    [['--server', 'a', '--service', 'b'], 2, /are the same/],
    [['--server', '5', '-t', '2h'], 2, /from 1s to 1h/],
  ] as const) {
    const { err, status } = await runHere(['stop', ...words])
    assert.match(err, why)
    assert.equal(status, wanted, err)
  }
})

test('a second program of a kind has a name of its own, and what a dead one left makes room', (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const home = makeHome(folder.path)
  writeFileSync(join(folder.path, 'voevent.pid'), '4194399\n4194399\n')
  const first = takeService(home, 'voevent')
  const second = takeService(home, 'voevent')
  assert.deepEqual([first.name, second.name], ['voevent', 'voevent_2'])
  first.release()
  assert.deepEqual(
    runningServices(home).map(({ name }) => name),
    ['voevent_2'],
  )
  assert.equal(takeService(home, 'voevent').name, 'voevent')
})

test('E20: LOG_ROTATE by UDP opens the log file anew', async (t) => {
  const { logFile, said } = await gatewayIn(t, ['--control', 'udp:127.0.0.1:0'])
  const host = listeningAt(said(), 'udp')
  renameSync(logFile, `${logFile}.1`)
  await runHere(['signal', '--host', host, 'LOG_ROTATE'])
  await until(() => existsSync(logFile), 'a new log file')
  await runHere(['signal', '--host', host, 'READY'])
  await until(() => said().includes('"command":"READY"'), 'READY in the new file')
  assert.doesNotMatch(readFileSync(`${logFile}.1`, 'utf8'), /READY/)
  assert.match(readFileSync(`${logFile}.1`, 'utf8'), /LOG_ROTATE/)
})

test('E13, E19: a gateway is asked, traced and ended like the broker, and no other is by mistake', async (t) => {
  const { home, running, said } = await gatewayIn(t, ['--control', 'tcp:127.0.0.1:0'])
  const alive = await runHere(['signal', ...home, 'hpfeeds/ALIVE'])
  assert.match(alive.out, /ABSOLUTELY reply_timestamp=/, alive.err)
  await runHere(['signal', ...home, 'hpfeeds/LEAK'])
  await until(() => /"memory_told".*"heapMb":[1-9]/.test(said()), 'memory_told')
  const listed = await runHere(['connections', ...home, '--json'])
  const seen = JSON.parse(listed.out) as Record<string, unknown>
  assert.equal(seen['service'], 'hpfeeds')
  assert.equal(seen['pid'], process.pid)
  assert.equal((seen['listening'] as string[]).length, 2)
  assert.equal((seen['connections'] as string[]).length, 1)
  assert.match(
    (await runHere(['connections', ...home])).out,
    /^service .*\n─+\nhpfeeds +\d+ +unix:/,
  )

  const host = listeningAt(said(), 'tcp')
  const traced = runHere(['trace', 'hpfeeds', ...home, '--json', '--max', '1'])
  await until(() => said().includes('"command":"TRACE"'), 'TRACE')
  const elsewhere = await runHere([
    'signal',
    '--host',
    host,
    '-t',
    'tcp',
    'voevent/STOP',
    '-p',
    'a=1',
  ])
  assert.equal(elsewhere.status, 0, elsewhere.err)
  const { out } = await traced
  const { peer, message } = JSON.parse(out) as { peer: string; message: string }
  assert.match(peer, /^tcp_\d+$/)
  assert.match(message, / voevent\/STOP a=1$/)
  const unavailable = await runHere(['signal', '--host', host, '-t', 'tcp', 'voevent/ALIVE'])
  assert.match(
    unavailable.out,
    /SERVICE_UNAVAILABLE destination_service=voevent;unsent_command=ALIVE/,
  )
  assert.equal(unavailable.status, 1)
  // Every program of the home, whichever there are.
  const all = await runHere(['signal', ...home, '*/ALIVE'])
  assert.match(all.out, /^hpfeeds: \S+ABSOLUTELY/)
  assert.equal((await runHere(['signal', ...home, '*/QUITTING'])).status, 0)
  assert.equal((await running).status, 0)
  assert.match(said(), /gateway_stopped/)
  for (const words of [
    ['connections'],
    ['connections', 'voevent'],
    ['signal', '*/ALIVE'],
    ['trace'],
  ]) {
    const { err, status } = await runHere([...words, ...home])
    assert.match(err, /none runs there/)
    assert.equal(status, 1)
  }
})

test('a key of hpfeeds lets in to control by the channel that it names, and no further', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const file = join(folder.path, 'keys.db')
  const keys = openCredentials(file)
  const key = { owner: 'o', secret: 's3cret' }
  keys.add({ ...key, ident: 'operator', publish: ['control'], subscribe: [] })
  keys.add({ ...key, ident: 'own', publish: ['control.hpfeeds'], subscribe: [] })
  keys.add({ ...key, ident: 'looker', publish: [], subscribe: ['control'] })
  keys.add({ ...key, ident: 'feeder', publish: ['alerts'], subscribe: ['alerts'] })
  t.after(() => keys.close())
  const { said, running } = await gatewayIn(t, [
    ...['--control', 'tcp:port=0:interface=0.0.0.0', '--control-auth', file],
  ])
  const port = /control_opened.*?"tcp:0\.0\.0\.0:(\d+)"/.exec(said())?.[1] ?? assert.fail(said())
  const signal = (ident: string | undefined, secret: string, text: string, timeout = '30s') =>
    runHere(['signal', '--host', `127.0.0.1:${port}`, '-t', 'tcp', '--timeout', timeout, text], {
      env: { NIGHTJAR_CONTROL_SECRET: secret, ...(ident && { NIGHTJAR_CONTROL_IDENT: ident }) },
    })
  for (const ident of ['operator', 'own', 'looker']) {
    assert.equal((await signal(ident, 's3cret', 'ALIVE')).status, 0, ident)
  }
  const refused: [string | undefined, string, string, RegExp][] = [
    ['operator', 'other', 'ALIVE', /ALIVE came from \\?"operator\\?" with another secret_code/],
    ['nobody', 's3cret', 'HELP', /HELP came from \\?"nobody\\?" with another secret_code/],
    ['feeder', 's3cret', 'ALIVE', /feeder\\?", whose key does not name \\?"control.hpfeeds/],
    ['looker', 's3cret', 'STOP', /looker\\?", whose key does not name/],
    [undefined, 's3cret', 'CONNECTIONS', /CONNECTIONS came without an ident/],
  ]
  for (const [ident, secret, text, why] of refused) {
    await signal(ident, secret, text, '0.3s')
    await until(() => why.test(said()), String(why))
  }
  await signal('own', 's3cret', 'STOP')
  assert.equal((await running).status, 0)
})

test('E19: a conductor is asked and ended at a socket of its own', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const home = ['--home', folder.path]
  const brokers = ['--brokers', '127.0.0.1:1', '--night', '20300101', '--every', '1s']
  const running = runHere(['conductor', 'start', ...home, ...brokers])
  await until(() => runningServices(makeHome(folder.path)).length > 0, 'a conductor')
  await until(() => existsSync(join(folder.path, 'control-conductor.sock')), 'its socket')
  const alive = await runHere(['signal', ...home, 'conductor/ALIVE', '--timeout', '60s'])
  assert.match(alive.out, /ABSOLUTELY/, alive.err)
  assert.equal((await runHere(['signal', ...home, 'conductor/STOP'])).status, 0)
  const { status } = await running
  // It ended before the night did.
  assert.equal(status, 1)
  assert.deepEqual(runningServices(makeHome(folder.path)), [])
})

test('E1: control text goes over TLS as over TCP, to whoever trusts the certificate', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const [key, cert] = [join(folder.path, 'key'), join(folder.path, 'cert.pem')]
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
      ...['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
      ...['-keyout', key, '-out', cert],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  )
  const { said, running } = await gatewayIn(t, [
    ...['--control', `tls:interface=127.0.0.1:port=0:key=${key}:cert=${cert}`],
  ])
  const port = listeningAt(said(), 'tls').split(':')[1]
  const signal = (host: string, text: string) => runHere(['signal', '--host', host, text])
  const alive = await signal(`tls:localhost:${port}:cert=${cert}`, 'ALIVE')
  assert.match(alive.out, /ABSOLUTELY/, alive.err)
  const stranger = await signal(`tls:localhost:${port}`, 'STOP')
  assert.match(stranger.err, /self-signed certificate/)
  assert.equal(stranger.status, 1)
  assert.equal((await signal(`tls:localhost:${port}:cert=${cert}`, 'STOP')).status, 0)
  assert.equal((await running).status, 0)
})

test('E19: the VOEvent gateway is asked and ended at a socket of its own', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const home = ['--home', join(folder.path, 'home')]
  const said = join(folder.path, 'log')
  const running = runHere([
    ...['gateway', 'voevent', ...home, '--eventdb', folder.path, '--log-file', said],
    ...['--local-ivo', 'ivo://org.example/test', '--receive', 'tcp:0:interface=127.0.0.1'],
  ])
  await until(
    () => existsSync(said) && readFileSync(said, 'utf8').includes('gateway_started'),
    'gateway_started',
  )
  const alive = await runHere(['signal', ...home, 'voevent/ALIVE', '--timeout', '60s'])
  assert.match(alive.out, /ABSOLUTELY/, alive.err)
  assert.equal((await runHere(['signal', ...home, 'voevent/STOP'])).status, 0)
  assert.deepEqual(await running, { out: '', err: '', status: 0 })
})
