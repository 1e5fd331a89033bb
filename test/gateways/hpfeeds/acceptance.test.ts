/** The acceptance table of hpfeeds, row by row, with hpfeeds' own programs on the other side. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { connect as connectTls } from 'node:tls'

import { repository, runHere, startProgram, type Started } from '../../night/harness.ts'
import { connectClient, eventually, startBroker, type TestClient } from './harness.ts'
import {
  endPrograms,
  makeCertificate,
  metricsAt,
  skipWithoutHpfeeds as skip,
  start,
  startCli,
  startGateway,
  startHpfeedsBroker,
} from './programs.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-hpfeeds-rows-'))
after(() => {
  endPrograms()
  rmSync(dir, { recursive: true })
})

const tls = makeCertificate(dir)
let folders = 0

/** A folder of its own for a broker: its keys and its home. */
function folder(): string {
  return mkdtempSync(join(dir, `${++folders}-`))
}

const here = ['--bind', '127.0.0.1:0', '--home', 'home']
const env = {
  HPFEEDS_ALICE_SECRET: 's3cret',
  HPFEEDS_ALICE_PUBCHANS: 'alerts,test-chan',
  HPFEEDS_ALICE_SUBCHANS: 'alerts,test-chan',
}

const at = (
  port: number | undefined,
  ident = 'alice',
  secret = 's3cret',
  chan = 'alerts',
): string[] => [
  ...['--host', '127.0.0.1', '-p', String(port), '-i', ident, '-s', secret, '-c', chan],
]

const client = async (port = 0, ident = 'alice', secret = 's3cret'): Promise<TestClient> => {
  const one = await connectClient(connect({ host: '127.0.0.1', port, allowHalfOpen: true }))
  one.auth(ident, secret)
  return one
}

/** Sign in and publish to oneself: true where the ident may. */
async function mayEcho(port: number | undefined, ident: string, secret: string): Promise<boolean> {
  const one = await client(port, ident, secret)
  one.subscribe('chan1')
  one.publish('chan1', 'echo')
  const message = await one.next()
  one.socket.destroy()
  return message.op === 'publish'
}

async function stop(started: Started): Promise<void> {
  started.child.kill('SIGINT')
  await started.ended
}

test('H1: what is published to a channel comes to all five subscribers', async () => {
  const broker = await startBroker()
  try {
    const readers = await Promise.all([1, 2, 3, 4, 5].map(() => broker.client('bob')))
    for (const reader of readers) reader.subscribe('alerts')
    await eventually(
      'five are subscribed',
      () => broker.broker.tally.of('bob').subscriptions.get('alerts') === 5,
    )
    const writer = await broker.client('alice')
    writer.subscribe('test-chan')
    writer.publish('alerts', 'ready')
    for (const reader of readers) assert.equal(await reader.text(), 'ready')
    writer.publish('alerts', Buffer.from('{"event":"ping"}'))
    for (const reader of readers) {
      const message = await reader.next()
      assert.ok(message.op === 'publish')
      assert.deepEqual([message.ident, message.channel], ['alice', 'alerts'])
      assert.equal(message.payload.toString(), '{"event":"ping"}')
    }
    readers[0]?.unsubscribe('alerts')
    await eventually(
      'one has left',
      () => broker.broker.tally.of('bob').subscriptions.get('alerts') === 4,
    )
    writer.publish('alerts', 'for four')
    assert.equal(await readers[1]?.text(), 'for four')
    readers[0]?.subscribe('alerts')
    await eventually(
      'it is back',
      () => broker.broker.tally.of('bob').subscriptions.get('alerts') === 5,
    )
    writer.publish('alerts', 'for five')
    assert.equal(await readers[0]?.text(), 'for five')
    assert.deepEqual(writer.waiting(), [])
  } finally {
    await broker.close()
  }
})

test('H2: the image and the compose file have the ports, folders and variables of the original', async () => {
  const image = readFileSync(join(repository, 'gateways/hpfeeds/Dockerfile'), 'utf8')
  const instructions = image
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
  for (const line of instructions.filter((text) => text !== '')) {
    assert.match(line, /^(FROM|RUN|WORKDIR|COPY|USER|ENV|VOLUME|EXPOSE|STOPSIGNAL|CMD) \S/)
  }
  assert.match(image, /^EXPOSE 10000 9431$/m)
  assert.match(image, /^VOLUME \/app\/var$/m)
  const compose = readFileSync(join(repository, 'gateways/hpfeeds/docker-compose.yml'), 'utf8')
  for (const line of ["'0.0.0.0:10000:10000'", "'127.0.0.1:9431:9431'", 'hpfeeds_data:/app/var']) {
    assert.ok(compose.includes(`- ${line}\n`), line)
  }
  // The command runs as it stands there, but for the ports.
  const command = [...compose.matchAll(/^ {6}- '([-/][^:]*?(?:=.*)?)'$/gm)].map(
    ([, word]) => word ?? '',
  )
  const [program, ...words] = command
  assert.equal(program, '/app/bin/hpfeeds-broker')
  assert.deepEqual(words, [
    '--bind=0.0.0.0:10000',
    '--exporter=0.0.0.0:9431',
    '--auth=sqlite',
    '--auth=env',
  ])
  const vars = Object.fromEntries(
    [...compose.matchAll(/^ +(HPFEEDS_\w+): '(\w+)'$/gm)].map(([, name, value]) => [
      name,
      value ?? '',
    ]),
  )
  assert.deepEqual(Object.keys(vars), [
    'HPFEEDS_TEST_SECRET',
    'HPFEEDS_TEST_SUBCHANS',
    'HPFEEDS_TEST_PUBCHANS',
  ])
  const cwd = folder()
  const started = startProgram(
    join(repository, 'bin/hpfeeds-broker'),
    words.map((word) => word.replace(/0\.0\.0\.0:\d+/, '127.0.0.1:0')),
    { cwd, env: { ...vars, NIGHTJAR_HOME: join(cwd, 'nightjar') } },
  )
  await started.until(/gateway_started .*\n/)
  const [, port] = /listening=\["tcp:127\.0\.0\.1:(\d+)"\]/.exec(started.said().err) ?? []
  const one = await client(Number(port), 'test', 'test')
  one.subscribe('spam')
  one.publish('spam', 'eggs')
  assert.equal(await one.text(), 'eggs')
  one.socket.destroy()
  started.child.kill('SIGTERM')
  assert.equal((await started.ended).status, 0)
})

test('H3: --bind and --name: it runs in the foreground and greets by its name', async () => {
  const gateway = await startGateway([...here, '--name', 'mybroker', '--auth', 'env'], {
    cwd: folder(),
    env,
  })
  const one = await client(gateway.ports[0])
  assert.equal(one.brokerName, 'mybroker')
  one.socket.destroy()
  assert.match(await gateway.stop(), /gateway_stopped/)
})

test('H4: keys in SQLite by default, in a table that it makes; INSERT counts without a restart', async () => {
  const cwd = folder()
  const gateway = await startGateway(here, { cwd })
  const early = await client(gateway.ports[0], 'ident', 'secret')
  assert.deepEqual(await early.closed(), [{ op: 'error', text: 'Authentication failed for ident' }])
  const db = new DatabaseSync(join(cwd, 'sqlite.db'))
  const columns = db.prepare("SELECT name FROM pragma_table_info('authkeys')").all()
  assert.deepEqual(
    columns.map(({ name }) => name),
    ['id', 'owner', 'ident', 'secret', 'pubchans', 'subchans'],
  )
  db.exec(`INSERT INTO authkeys (owner, ident, secret, pubchans, subchans)
           VALUES ('owner', 'ident', 'secret', '["chan1"]', '["chan1"]')`)
  assert.ok(await mayEcho(gateway.ports[0], 'ident', 'secret'))
  db.exec(`UPDATE authkeys SET pubchans = '[]'`)
  assert.ok(!(await mayEcho(gateway.ports[0], 'ident', 'secret')))
  db.close()
  await gateway.stop()
})

test(
  'H4: a file of keys that hpfeeds itself made is taken as it is, and the other way round',
  { skip },
  async () => {
    const cwd = folder()
    const theirs = await startHpfeedsBroker([], { cwd })
    const { out } = await start(['keys', 'add', 'alice', '--pub', 'alerts', '--sub', 'alerts'], {
      cwd,
    }).ended
    const secret = out.trim()
    const one = await client(theirs.port, 'alice', secret)
    one.subscribe('alerts')
    one.publish('alerts', 'through theirs')
    assert.equal(await one.text(), 'through theirs')
    one.socket.destroy()
    await stop(theirs.started)
    const ours = await startGateway(here, { cwd })
    const two = await client(ours.ports[0], 'alice', secret)
    two.subscribe('alerts')
    two.publish('alerts', 'through ours')
    assert.equal(await two.text(), 'through ours')
    two.socket.destroy()
    await ours.stop()
  },
)

test('H5: keys by an SQL shell and by "nightjar keys"', async () => {
  const db = join(folder(), 'sqlite.db')
  const keys = (...words: string[]) => runHere(['keys', ...words, '--db', db])
  const added = await keys(
    'add',
    'james',
    '--pub',
    'a,b',
    '--sub',
    'a',
    '--sub',
    'c',
    '--owner',
    'lab',
  )
  assert.equal(added.status, 0)
  assert.match(added.out, /^[0-9a-f]{32}\n$/)
  const shell = (sql: string): string => execFileSync('sqlite3', [db, sql], { encoding: 'utf8' })
  assert.equal(
    shell('SELECT * FROM authkeys'),
    `1|lab|james|${added.out.trim()}|["a","b"]|["a","c"]\n`,
  )
  const again = await keys('add', 'james')
  assert.equal(again.status, 1)
  assert.match(again.err, /Cannot add ident "james" to ".*": it is there already/)
  shell(`INSERT INTO authkeys (owner, ident, secret, pubchans, subchans)
         VALUES ('owner', 'ident', 'secret', '["chan1"]', '["chan1"]')`)
  const listed = await keys('list', '--json')
  assert.deepEqual(
    listed.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
    [
      { owner: 'owner', ident: 'ident', publish: ['chan1'], subscribe: ['chan1'] },
      { owner: 'lab', ident: 'james', publish: ['a', 'b'], subscribe: ['a', 'c'] },
    ],
  )
  assert.ok(!listed.out.includes(added.out.trim()))
  assert.match((await keys('list', '--secrets')).out, new RegExp(added.out.trim()))
  const rotated = await keys('rotate', 'james')
  assert.match(rotated.out, /^[0-9a-f]{32}\n$/)
  assert.notEqual(rotated.out, added.out)
  assert.equal(shell("SELECT secret FROM authkeys WHERE ident = 'james'"), rotated.out)
  assert.deepEqual(await keys('remove', 'ident'), { out: '', err: '', status: 0 })
  const gone = await keys('remove', 'ident')
  assert.equal(gone.status, 1)
  assert.match(gone.err, /Cannot find ident "ident"/)
})

test('H6: --auth=env: HPFEEDS_JAMES_SECRET, _SUBCHANS, _PUBCHANS and _OWNER, for ident james', async () => {
  const gateway = await startGateway([...here, '--auth=env', '--exporter', '127.0.0.1:0'], {
    cwd: folder(),
    env: {
      HPFEEDS_JAMES_SECRET: 'secret',
      HPFEEDS_JAMES_SUBCHANS: 'test-chan, chan1',
      HPFEEDS_JAMES_PUBCHANS: 'chan1',
      HPFEEDS_CAROL_SECRET: 'x',
      HPFEEDS_CAROL_OWNER: 'lab',
    },
  })
  const [port] = gateway.ports
  assert.ok(await mayEcho(port, 'james', 'secret'))
  assert.ok(await mayEcho(port, 'JAMES', 'secret'))
  const carol = await client(port, 'carol', 'x')
  const reader = await client(port, 'james', 'secret')
  reader.subscribe('test-chan')
  reader.publish('test-chan', 'no')
  assert.equal((await reader.closed())[0]?.op, 'error')
  const metrics = await metricsAt(gateway.metricsPort)
  assert.equal(
    metrics.get('hpfeeds_client_authenticated_connections{ident="carol",owner="lab"}'),
    1,
  )
  assert.ok(metrics.has('hpfeeds_client_authenticated_connections{ident="james",owner="james"}'))
  carol.socket.destroy()
  await gateway.stop()
})

test('H7: pubchans and subchans: three texts, and the connection ends', async () => {
  const broker = await startBroker()
  try {
    const refused = async (speak: (one: TestClient) => void): Promise<unknown> => {
      const one = await broker.client('alice')
      speak(one)
      return one.closed()
    }
    assert.deepEqual(await refused((one) => one.publish('nope', 'x')), [
      { op: 'error', text: 'Authkey not allowed to pub here. ident=alice, chan=nope' },
    ])
    assert.deepEqual(await refused((one) => one.subscribe('nope')), [
      { op: 'error', text: 'Authkey not allowed to sub here. ident=alice, chan=nope' },
    ])
    assert.deepEqual(await refused((one) => one.publish('alerts', 'x', 'bob')), [
      { op: 'error', text: 'Invalid authkey in message, ident=bob' },
    ])
    // Names are exact.
    for (const name of ['Alerts', 'alert', 'alerts ', '*']) {
      assert.deepEqual(await refused((one) => one.subscribe(name)), [
        { op: 'error', text: `Authkey not allowed to sub here. ident=alice, chan=${name}` },
      ])
    }
  } finally {
    await broker.close()
  }
})

test(
  'H8: --tlskey and --tlscert with a self-signed certificate: hpfeeds itself comes in',
  { skip },
  async () => {
    const cwd = folder()
    for (const half of [
      ['--tlskey', tls.key],
      ['--tlscert', tls.cert],
    ]) {
      const { status, err } = await runHere(['gateway', 'hpfeeds', ...half])
      assert.equal(status, 2)
      assert.equal(err, 'nightjar: Cannot use TLS: --tlskey and --tlscert must be given both\n')
    }
    const words = [...here, '--auth', 'env', '--tlskey', tls.key, '--tlscert', tls.cert]
    const gateway = await startGateway(words, { cwd, env })
    const where = [...at(gateway.ports[0]), '--tlscert', tls.cert]
    const theirs = startCli(['subscribe', ...where])
    const ours = start(['feed', 'subscribe', ...where])
    await theirs.until(/connected to hpfeeds/)
    await ours.until(/connected to hpfeeds/)
    await new Promise((resolve) => setTimeout(resolve, 200))
    assert.equal((await startCli(['publish', ...where, 'from theirs']).ended).status, 0)
    assert.equal((await start(['feed', 'publish', ...where, 'from', 'ours']).ended).status, 0)
    await theirs.until(
      /publish to alerts by alice: b'from theirs'[^]*publish to alerts by alice: b'from ours'/,
    )
    await ours.until(
      /publish to alerts by alice: from theirs\npublish to alerts by alice: from ours\n/,
    )
    await stop(theirs)
    await stop(ours)
    // A certificate that nobody vouches for is refused by a client that was given none.
    const strict = await start(['feed', 'publish', ...at(gateway.ports[0]), '--tls', 'x']).ended
    assert.equal(strict.status, 1)
    assert.match(
      strict.err,
      /^nightjar: Cannot connect to "tls:127.0.0.1:\d+": self-signed certificate.*\n$/,
    )
    await gateway.stop()
  },
)

test('H8: a certificate that is replaced is used from the next connection on', async () => {
  const cwd = folder()
  const [old, fresh] = [makeCertificate(cwd, 'live'), makeCertificate(cwd, 'fresh')]
  const words = [...here, '--auth', 'env', '--tlskey', old.key, '--tlscert', old.cert]
  const gateway = await startGateway(words, { cwd, env })
  const serial = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connectTls({
        host: '127.0.0.1',
        port: gateway.ports[0] ?? 0,
        rejectUnauthorized: false,
      })
      socket.once('error', reject)
      socket.once('secureConnect', () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
    })
  const before = await serial()
  renameSync(fresh.key, old.key)
  renameSync(fresh.cert, old.cert)
  await gateway.started.until(/certificate_reloaded/)
  assert.notEqual(await serial(), before)
  await gateway.stop()
})

test('H9: Prometheus: the names of the original, with the values of its own test', async () => {
  const gateway = await startGateway([...here, '--auth', 'env', '--exporter', '127.0.0.1:0'], {
    cwd: folder(),
    env: {
      HPFEEDS_TEST_SECRET: 'test',
      HPFEEDS_TEST_PUBCHANS: 'test-chan',
      HPFEEDS_TEST_SUBCHANS: 'test-chan',
    },
  })
  const metrics = () => metricsAt(gateway.metricsPort)
  assert.equal((await metrics()).get('hpfeeds_broker_client_connections'), 0)
  const silent = await connectClient(connect({ host: '127.0.0.1', port: gateway.ports[0] ?? 0 }))
  const early = await metrics()
  assert.equal(early.get('hpfeeds_broker_client_connections'), 1)
  assert.ok(![...early.keys()].some((name) => name.includes('ident="test"')))
  silent.socket.destroy()

  const one = await client(gateway.ports[0], 'test', 'test')
  one.subscribe('test-chan')
  one.publish('test-chan', 'twelve bytes')
  assert.equal(await one.text(), 'twelve bytes')
  const wrong = await client(gateway.ports[0], 'test', 'wrong')
  await wrong.closed()
  wrong.socket.destroy()
  let found = await metrics()
  for (
    let tries = 0;
    found.get('hpfeeds_broker_client_connections') !== 1 && tries < 100;
    tries++
  ) {
    found = await metrics()
  }
  const expected = {
    hpfeeds_broker_client_connections: 1,
    hpfeeds_broker_connection_made: 3,
    'hpfeeds_broker_connection_ready{ident="test"}': 1,
    'hpfeeds_broker_connection_lost{ident=""}': 2,
    'hpfeeds_broker_connection_error{ident="test",category="invalid-secret"}': 1,
    'hpfeeds_broker_connection_send_buffer_size{ident="test"}': 0,
    'hpfeeds_broker_connection_receive_buffer_size{ident="test"}': 0,
    'hpfeeds_broker_connection_send_buffer_fill{ident="test"}': 12,
    // A frame: 5 of header, 1 + 4 of ident, 1 + 9 of channel, 12 of payload.
    'hpfeeds_broker_connection_send_buffer_drain{ident="test"}': 32,
    'hpfeeds_broker_connection_send_buffer_deadline_start{ident="test"}': 0,
    'hpfeeds_broker_connection_send_buffer_deadline_recover{ident="test"}': 0,
    'hpfeeds_broker_subscriptions{ident="test",chan="test-chan"}': 1,
    'hpfeeds_client_authenticated_connections{ident="test",owner="test"}': 1,
    'hpfeeds_broker_receive_publish_count{ident="test",chan="test-chan"}': 1,
    'hpfeeds_broker_receive_publish_size_sum{ident="test",chan="test-chan"}': 12,
    'hpfeeds_broker_receive_publish_size_bucket{le="1024",ident="test",chan="test-chan"}': 1,
    'hpfeeds_broker_receive_publish_size_bucket{le="4194304",ident="test",chan="test-chan"}': 1,
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(found.get(name), value, name)

  const health = await fetch(`http://127.0.0.1:${gateway.metricsPort}/healthz`)
  assert.deepEqual([health.status, await health.text()], [200, '{}'])
  const other = await fetch(`http://127.0.0.1:${gateway.metricsPort}/`)
  assert.equal(other.status, 404)
  one.socket.destroy()
  await gateway.stop()
})

test(
  'H10: connections, subscribers by channel, events, connects and errors can be told from the metrics',
  { skip },
  async () => {
    const words = ['--auth', 'env']
    const theirs = await startHpfeedsBroker(words, { cwd: folder(), env })
    const ours = await startGateway([...here, ...words, '--exporter', '127.0.0.1:0'], {
      cwd: folder(),
      env,
    })
    /** The same conversation with either; answers what is counted after it. */
    async function counted(port: number, metricsPort: number): Promise<Map<string, number>> {
      const readers = [await client(port), await client(port)]
      for (const reader of readers) reader.subscribe('test-chan')
      await new Promise((resolve) => setTimeout(resolve, 200))
      const writer = await client(port)
      for (let i = 0; i < 10; i++) writer.publish('test-chan', 'twelve bytes')
      for (const reader of readers) for (let i = 0; i < 10; i++) await reader.text()
      writer.publish('nope', 'x')
      await writer.closed()
      writer.socket.destroy()
      await new Promise((resolve) => setTimeout(resolve, 200))
      const found = await metricsAt(metricsPort)
      for (const { socket } of readers) socket.destroy()
      return found
    }
    const [original, found] = [
      await counted(theirs.port, theirs.metricsPort),
      await counted(ours.ports[0] ?? 0, ours.metricsPort),
    ]
    const names = [
      'hpfeeds_broker_client_connections',
      'hpfeeds_client_authenticated_connections{ident="alice",owner="alice"}',
      'hpfeeds_broker_connection_send_buffer_size{ident="alice"}',
      'hpfeeds_broker_connection_receive_buffer_size{ident="alice"}',
      'hpfeeds_broker_subscriptions{chan="test-chan",ident="alice"}',
      'hpfeeds_broker_connection_ready{ident="alice"}',
      'hpfeeds_broker_connection_send_buffer_fill{ident="alice"}',
      'hpfeeds_broker_receive_publish_count{chan="test-chan",ident="alice"}',
      'hpfeeds_broker_receive_publish_size_sum{chan="test-chan",ident="alice"}',
      'hpfeeds_broker_connection_error{category="no-pub-permission",ident="alice"}',
    ]
    for (const name of names) {
      // Newer Prometheus clients for Python add "_total" to a counter, and sort the labels.
      const value = original.get(name) ?? original.get(name.replace(/(?=\{)|$/, '_total'))
      const ownName = name.replace(
        /\{(chan|category)=("[^"]*"),ident=("[^"]*")\}/,
        '{ident=$3,$1=$2}',
      )
      assert.ok(value !== undefined, name)
      assert.equal(found.get(ownName), value, name)
    }
    await stop(theirs.started)
    await ours.stop()
  },
)

test('H11: the image answers metrics without being told to; without --exporter nothing else listens', async () => {
  const image = readFileSync(join(repository, 'gateways/hpfeeds/Dockerfile'), 'utf8')
  assert.match(image, /^CMD \[.*"--exporter=0\.0\.0\.0:9431"\]$/m)
  const gateway = await startGateway([...here, '--auth', 'env'], { cwd: folder(), env })
  assert.equal(gateway.ports.length, 1)
  const pid = gateway.started.child.pid
  const inodes = execFileSync(
    'sh',
    ['-c', `ls -l /proc/${pid}/fd | grep -o 'socket:\\[[0-9]*' | cut -d'[' -f2`],
    {
      encoding: 'utf8',
    },
  )
  const mine = new Set(inodes.split('\n'))
  // State 0A in the kernel's table is LISTEN.
  const listening = [
    ...readFileSync('/proc/net/tcp', 'utf8').split('\n'),
    ...readFileSync('/proc/net/tcp6', 'utf8').split('\n'),
  ]
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === '0A' && mine.has(fields[9] ?? ''))
  assert.equal(listening.length, 1)
  await gateway.stop()
})

test('H12: --auth FILE.json is followed as it changes; one that is wrong leaves the last good one', async () => {
  const cwd = folder()
  const file = join(cwd, 'keys.json')
  const keys = (secret: string): string =>
    JSON.stringify({ ident: { owner: 'o', secret, pubchans: ['chan1'], subchans: ['chan1'] } })
  // As Kubernetes mounts it: a link to a link.
  writeFileSync(join(cwd, 'v1.json'), keys('one'))
  writeFileSync(join(cwd, 'v2.json'), keys('two'))
  symlinkSync('v1.json', join(cwd, 'data'))
  symlinkSync('data', file)
  const gateway = await startGateway([...here, '--auth', 'keys.json'], { cwd })
  const [port] = gateway.ports
  assert.ok(await mayEcho(port, 'ident', 'one'))
  symlinkSync('v2.json', join(cwd, 'data2'))
  renameSync(join(cwd, 'data2'), join(cwd, 'data'))
  await gateway.started.until(/credentials_reloaded/)
  assert.ok(!(await mayEcho(port, 'ident', 'one')))
  assert.ok(await mayEcho(port, 'ident', 'two'))
  writeFileSync(join(cwd, 'v2.json'), '{"ident": {"owner": "o"}}')
  await gateway.started.until(/reload_retried .*its \\"secret\\" is no text/)
  assert.ok(await mayEcho(port, 'ident', 'two'))
  await gateway.stop()
  const { status, err } = await start(['gateway', 'hpfeeds', ...here, '--auth', 'keys.json'], {
    cwd,
  }).ended
  assert.equal(status, 2)
  assert.match(
    err,
    /^nightjar: Cannot read credentials from "keys.json": Cannot take ident "ident": its "secret" is no text\n$/,
  )
})

test('H12: several --auth: the first that knows the ident is believed', async () => {
  const cwd = folder()
  writeFileSync(
    join(cwd, 'keys.json'),
    JSON.stringify({
      ident: { owner: 'o', secret: 'file', pubchans: ['chan1'], subchans: ['chan1'] },
    }),
  )
  const chans = { PUBCHANS: 'chan1', SUBCHANS: 'chan1' }
  const ofEnv = (ident: string) =>
    Object.fromEntries(
      Object.entries({ SECRET: 'env', ...chans }).map(([key, value]) => [
        `HPFEEDS_${ident}_${key}`,
        value,
      ]),
    )
  const gateway = await startGateway(
    [...here, '--auth', 'keys.json', '--auth', 'env', '--auth', 'other.db'],
    {
      cwd,
      env: { ...ofEnv('IDENT'), ...ofEnv('OTHER') },
    },
  )
  await start(
    [
      'keys',
      'add',
      'third',
      '--secret',
      'db',
      '--pub',
      'chan1',
      '--sub',
      'chan1',
      '--db',
      'other.db',
    ],
    { cwd },
  ).ended
  const [port] = gateway.ports
  assert.ok(await mayEcho(port, 'ident', 'file'))
  assert.ok(!(await mayEcho(port, 'ident', 'env')))
  assert.ok(await mayEcho(port, 'other', 'env'))
  assert.ok(await mayEcho(port, 'third', 'db'))
  await gateway.stop()
})

test('H12: several -e endpoints at once, TCP, TLS and Unix, beside --bind', async () => {
  const cwd = folder()
  const path = join(cwd, 'feeds.sock')
  const gateway = await startGateway(
    [
      ...here,
      ...['-e', 'tcp:interface=127.0.0.1:port=0'],
      ...['-e', `tls:interface=127.0.0.1:port=0:key=${tls.key}:cert=${tls.cert}`],
      ...['--endpoint', `unix:${path}`, '--auth', 'env'],
    ],
    { cwd, env },
  )
  const [bound = 0, tcp = 0, secure = 0] = gateway.ports
  const host = '127.0.0.1'
  const sockets = [
    connect({ host, port: bound }),
    connect({ host, port: tcp }),
    connectTls({ host, port: secure, ca: readFileSync(tls.cert) }),
    connect({ path }),
  ]
  const clients = await Promise.all(sockets.map((socket) => connectClient(socket)))
  for (const one of clients) {
    one.auth('alice', 's3cret')
    one.subscribe('alerts')
  }
  await new Promise((resolve) => setTimeout(resolve, 300))
  clients[3]?.publish('alerts', 'one channel behind all doors')
  for (const one of clients) assert.equal(await one.text(), 'one channel behind all doors')
  for (const { socket } of clients) socket.destroy()
  await gateway.stop()
})

test('H13: a subscriber that does not read is let go after its deadline; one that catches up is not', async () => {
  const broker = await startBroker({
    limits: { highBytes: 4 << 20, lowBytes: 1 << 20, slowMs: 2500, lingerMs: 4000 },
  })
  try {
    const [stuck, late, good] = await Promise.all([1, 2, 3].map(() => broker.client('bob')))
    for (const one of [stuck, late, good]) one?.subscribe('alerts')
    const bob = broker.broker.tally.of('bob')
    await eventually('three are subscribed', () => bob.subscriptions.get('alerts') === 3)
    stuck?.socket.pause()
    late?.socket.pause()
    const writer = await broker.client('alice')
    const payload = Buffer.alloc(1 << 19, 1)
    for (let i = 0; i < 60; i++) writer.publish('alerts', payload)
    await eventually('two are slow', () => bob.deadlinesStarted === 2)
    late?.socket.resume()
    for (let i = 0; i < 60; i++) assert.equal((await good?.next())?.op, 'publish')
    await eventually('one caught up', () => bob.deadlinesRecovered === 1)
    await eventually('one is let go', () => bob.faults.get('deadline-timer-expired') === 1, 8000)
    assert.equal(bob.subscriptions.get('alerts'), 2)
    // Whoever reads at last finds what was sent until then, and why it ended.
    stuck?.socket.resume()
    const last = await stuck?.closed()
    assert.ok(last !== undefined && last.length > 8, String(last?.length))
    assert.deepEqual(last.at(-1), { op: 'error', text: 'Backpressure deadline timer expired' })
    writer.publish('alerts', 'the others go on')
    assert.equal(await good?.text(), 'the others go on')
  } finally {
    await broker.close()
  }
})

for (const mode of ['plain', 'TLS'] as const) {
  test(
    `H14: nightjar feed subscribe, publish and sendfile with hpfeeds' own broker, ${mode}`,
    { skip },
    async () => {
      const cwd = folder()
      const secure = mode === 'TLS' ? ['--tlskey', tls.key, '--tlscert', tls.cert] : []
      const theirs = await startHpfeedsBroker(['--auth', 'env', '--name', 'theirs', ...secure], {
        cwd,
        env,
      })
      const where = [...at(theirs.port), ...(mode === 'TLS' ? ['--tlscert', tls.cert] : [])]
      const reader = start(['feed', 'subscribe', ...where])
      const json = start(['feed', 'subscribe', ...where, '--json', '--max', '3'])
      const own = startCli(['subscribe', ...where])
      for (const one of [reader, json, own]) await one.until(/connected to theirs/)
      await new Promise((resolve) => setTimeout(resolve, 300))
      const said = await start(['feed', 'publish', ...where, '{"event":"ping"}']).ended
      assert.deepEqual([said.out, said.err, said.status], ['', '', 0])
      await own.until(/publish to alerts by alice: b'\{"event":"ping"\}'/)
      const file = join(cwd, 'file.bin')
      writeFileSync(file, Buffer.from([0, 255, 10, 27]))
      assert.equal((await start(['feed', 'sendfile', ...where, file]).ended).status, 0)
      assert.equal((await startCli(['publish', ...where, 'from', 'theirs']).ended).status, 0)
      const ended = await json.ended
      assert.deepEqual(
        ended.out
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line) as unknown),
        [
          { channel: 'alerts', ident: 'alice', payload: '{"event":"ping"}' },
          { channel: 'alerts', ident: 'alice', payload_base64: 'AP8KGw==' },
          { channel: 'alerts', ident: 'alice', payload: 'from theirs' },
        ],
      )
      assert.equal(ended.status, 0)
      await reader.until(/publish to alerts by alice: from theirs\n/)
      await stop(reader)
      await stop(own)
      const wrong = [
        '--host',
        '127.0.0.1',
        '-p',
        String(theirs.port),
        '-i',
        'alice',
        '-c',
        'alerts',
      ]
      const tlsWords = mode === 'TLS' ? ['--tlscert', tls.cert] : []
      const refused = await start(['feed', 'publish', ...wrong, '-s', 'wrong', ...tlsWords, 'x'])
        .ended
      assert.equal(refused.status, 1)
      assert.match(refused.err, /got error from server: Authentication failed for alice/)
      await stop(theirs.started)
    },
  )
}

test(
  "H14: hpfeeds' own client with our broker: subscribe, publish, sendfile, and its errors",
  { skip },
  async () => {
    const cwd = folder()
    const gateway = await startGateway([...here, '--auth', 'env'], { cwd, env })
    const where = at(gateway.ports[0])
    const reader = startCli(['subscribe', ...where])
    await reader.until(/connected to hpfeeds/)
    await new Promise((resolve) => setTimeout(resolve, 300))
    const file = join(cwd, 'file.txt')
    writeFileSync(file, 'what a file holds')
    assert.equal((await startCli(['sendfile', ...where, file]).ended).status, 0)
    await reader.until(/publish to alerts by alice: b'what a file holds'/)
    const nope = await startCli([
      'publish',
      ...at(gateway.ports[0], 'alice', 's3cret', 'nope'),
      'x',
    ]).ended
    assert.match(
      nope.out,
      /got error from server: .*Authkey not allowed to pub here. ident=alice, chan=nope/,
    )
    const wrong = startCli(['subscribe', ...at(gateway.ports[0], 'alice', 'wrong')])
    await wrong.until(/Authentication failed for alice/)
    wrong.child.kill('SIGKILL')
    await stop(reader)
    await gateway.stop()
  },
)

test('H14: a subscriber that loses its broker finds it again and subscribes anew', async () => {
  const cwd = folder()
  const first = await startGateway([...here, '--auth', 'env'], { cwd, env })
  const [port] = first.ports
  const reader = start(['feed', 'subscribe', ...at(port)])
  await reader.until(/connected to hpfeeds/)
  first.started.child.kill('SIGKILL')
  await first.started.ended
  await reader.until(/again in/)
  const second = await startGateway(
    ['--bind', `127.0.0.1:${port}`, '--home', 'home', '--auth', 'env'],
    { cwd, env },
  )
  await reader.until(/connected to hpfeeds[^]*connected to hpfeeds/)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal((await start(['feed', 'publish', ...at(port), 'back']).ended).status, 0)
  await reader.until(/publish to alerts by alice: back\n/)
  await stop(reader)
  await second.stop()
})
