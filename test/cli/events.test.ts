import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { runCommandLine } from '../../cli/main.ts'
import { openTopics } from '../../cloud/topics.ts'
import { openGround } from '../../local/broker.ts'
import { openTopic } from '../../local/topic.ts'
import { skipWithoutPubsub, startPubsub } from '../cloud/emulators.ts'
import { temporaryFolder } from '../local/home.ts'
import { runHere, startNightjar } from '../night/harness.ts'

const at = { survey: 'ztf', project: 'local' } as const
const now = new Date('2026-11-21T19:06:11.123Z')
const waitMs = 60_000

/** Where events are exchanged, as options and environment of every verb. */
interface Place {
  words: readonly string[]
  env: Record<string, string>
}

async function homePlace(t: TestContext): Promise<Place & { home: string }> {
  const folder = temporaryFolder()
  t.after(() => folder.remove())
  await (await openGround(folder.path, at)).close()
  return { home: folder.path, words: ['--home', folder.path], env: {} }
}

/** `events listen` or `watch` in this process, once it listens. */
async function listening({ words, env }: Place, own: readonly string[]) {
  let out = ''
  let err = ''
  let status = 0
  const stop = new AbortController()
  const ended = runCommandLine(
    {
      out: (text) => void (out += text),
      err: (text) => void (err += text),
      ...{ tty: false, columns: 100, env, now: () => now, signal: stop.signal, exit() {} },
    },
    ['events', ...own, ...words],
  ).then((code) => (status = code))
  async function until(pattern: RegExp): Promise<void> {
    for (const deadline = Date.now() + waitMs; !pattern.test(out + err); await pause(10)) {
      assert.ok(Date.now() < deadline, `never ${pattern} in ${out}${err}`)
    }
  }
  await until(/^listening on /)
  return {
    until,
    async end() {
      stop.abort()
      await ended
      return { out, err, status }
    },
    async ended() {
      await ended
      return { out, err, status }
    },
  }
}

async function send({ words, env }: Place, ...own: string[]): Promise<void> {
  const sent = await runHere(['events', 'send', ...own, ...words], { env, now: () => now })
  assert.deepEqual(sent, { out: '', err: '', status: 0 })
}

const maker = String.raw`[^ /]+/${process.pid}/0`

/** What holds on a home and on Pub/Sub alike. */
function keeps(open: (t: TestContext) => Promise<Place>): void {
  test('a listener prints each kind of event as it comes, those that its selector selects', async (t) => {
    const place = await open(t)
    const all = await listening(place, ['listen', 'dome'])
    const some = await listening(place, ['listen', 'dome', '--select', 'temperature < 5', '--json'])
    await send(place, 'dome', '-p', 'note=seeing is good', '-p', 's:int=1', '-p', 's:int=2')
    await all.until(/note="seeing is good" s=\[1, 2\]\n/)
    const status = ['--type', 'status', '--status', 'open', '--run', 'r1', '-p', 'a.b:bool=true']
    const header = ['-f', 'temperature:double=3.5', '-f', 'big:long long=9007199254740993']
    await send(place, 'dome', ...status, ...header)
    await send(place, 'dome', '--type', 'command', '--to', 'camera/4711', '-p', 'x=\u001b[2J')
    await send(place, 'dome', '--type', 'log', '--message', 'hi', '--level', 'warn')
    await all.until(/WARN /)
    await all.until(/-> camera/)
    await all.until(/status /)
    await some.until(/temperature/)
    const { out, err, status: code } = await all.end()
    assert.deepEqual([err, code], ['listening on topic dome\n', 0])
    const lines = out.trimEnd().split('\n').sort()
    const told = [
      String.raw`WARN ${maker} nightjar: hi`,
      String.raw`command ${maker} -> camera/4711/0 x=\S*u001b\[2J"?`,
      String.raw`event note="seeing is good" s=\[1, 2\]`,
      String.raw`status ${maker} STATUS=open RUNID=r1 temperature=3\.5 big=9007199254740993 a\.b=true`,
    ]
    assert.equal(lines.length, told.length)
    told.forEach((pattern, i) => {
      assert.match(lines[i] ?? '', new RegExp(`^2026-11-21T19:06:11\\.123Z ${pattern}$`))
    })
    const one: unknown = JSON.parse((await some.end()).out)
    const { header: head, payload } = one as Record<'header' | 'payload', Record<string, unknown>>
    assert.deepEqual(payload, { 'a.b': true })
    assert.deepEqual(
      [head['TYPE'], head['TOPIC'], head['EVENTTIME'], head['big'], head['temperature']],
      ['_S', 'dome', '1795287971123000000', '9007199254740993', 3.5],
    )
  })

  test('a queue keeps what was sent before anybody listens, and gives each event to one', async (t) => {
    const place = await open(t)
    const queue = ['exposures', '--queue']
    await send(place, ...queue, '-p', 'n:int=1', '-f', 'camera=left')
    await send(place, ...queue, '-p', 'n:int=2', '-f', 'camera=right')
    const take = ['events', 'listen', ...queue, '--once', '--timeout', '60s', '--json']
    const run = (...more: string[]) =>
      runHere([...take, ...more, ...place.words], { env: place.env })
    const right = await run('--select', "camera = 'right'")
    assert.equal(right.status, 0)
    assert.match(right.out, /"QUEUE":"exposures".*"payload":\{"n":2\}\}\n$/)
    assert.match((await run()).out, /"payload":\{"n":1\}\}\n$/)
    const none = await run('--timeout', '1s')
    assert.deepEqual([none.out, none.status], ['', 1])
  })
}

suite('events on a home', () => {
  keeps(homePlace)

  test('watch prints lines of logs, from a level on, and nothing else', async (t) => {
    const place = await homePlace(t)
    const select = ['--select', "LOGGER LIKE 'dome.%' OR LOGGER = 'x'"]
    const watch = await listening(place, ['watch', '--level', 'warn', ...select])
    const log = ['Logging', '--type', 'log', '--message']
    await send(place, ...log, 'low', '--logger', 'dome.a')
    await send(place, ...log, 'other', '--logger', 'other', '--level', 'fatal')
    await send(place, 'Logging', '-f', 'LOGGER_=x')
    await send(place, ...log, 'the dome\nis stuck', '--logger', 'dome.b', '--level', 'ERROR')
    await watch.until(/stuck/)
    const { out } = await watch.end()
    const line = `ERROR ${maker} dome\\.b: the dome\\\\u000ais stuck`
    assert.match(out, new RegExp(`^2026-11-21T19:06:11\\.123Z ${line}\n$`))
  })

  test('a message that is no event is told and does not end the listening', async (t) => {
    const place = await homePlace(t)
    const listener = await listening(place, ['listen', 'dome', '--once'])
    const ground = await openGround(place.home, at)
    const topic = await openTopic(ground.messages, 'events.topic.dome')
    await topic.publish({ data: Buffer.from('{"a":'), attributes: { TYPE: '_E' } })
    await ground.close()
    await listener.until(/note: Cannot read a payload at character/)
    await send(place, 'dome', '-p', 'a=b')
    const { out, status } = await listener.ended()
    assert.match(out, /event a=b\n$/)
    assert.equal(status, 0)
  })

  test('Ctrl-C ends a listener at once, its receiver is forgotten, and the exit status is 0', async (t) => {
    const place = await homePlace(t)
    const child = startNightjar(['events', 'listen', 'dome', ...place.words])
    await child.until(/listening on topic dome/)
    child.child.kill('SIGINT')
    const { out, err, status } = await child.ended
    assert.deepEqual({ out, err, status }, { out: '', err: 'listening on topic dome\n', status: 0 })
    const ground = await openGround(place.home, at)
    const left = ground.journal
      .statement("SELECT count(*) AS n FROM subscription WHERE name LIKE 'events.%'")
      .get()
    assert.equal(left?.['n'], 0)
    await ground.close()
  })

  test('what the command line says wrong is refused with exit status 2, and nothing is sent', async (t) => {
    const { words } = await homePlace(t)
    const log = ['send', 'x', '--type', 'log', '--message', 'm']
    const wrong: [readonly string[], RegExp][] = [
      [['send', 'x', '-p', 'n:int=1.5'], /"1\.5" is no int/],
      [['send', 'x', '-p', 'n:number=1'], /the types are string, bool, int, long, /],
      [['send', 'x', '-p', 'n'], /write it as name:type=value/],
      [['send', 'x', '-p', 'n:int=1', '-p', 'n=1'], /it is int and string/],
      [['send', 'x', '-p', 'a=1', '-p', 'a.b=1'], /"a" is a value already/],
      [['send', 'x', '-p', 'STATUS=1'], /the name is one of the header’s own/],
      [['send', 'x', '--level', 'info'], /of --type log, not event/],
      [['send', 'x', '--type', 'command'], /say whom it is for by --to/],
      [['send', 'x', '--type', 'command', '--to', 'camera'], /host\/process/],
      [['send', 'x', '--type', 'log'], /say its line by --message/],
      [['send', 'x', '--type', 'alarm'], /Allowed choices/],
      [[...log, '--level', 'loud'], /there are TRACE, DEBUG, INFO, WARN, ERROR, FATAL/],
      [['listen', 'x', '--select', 'a ='], /column 4 /],
      [['watch', '--select', 'a = 1) OR (b = 1'], /column 6 /],
      [['listen', 'x', '--timeout', 'soon'], /write it as 90s/],
    ]
    for (const [own, pattern] of wrong) {
      const { out, err, status } = await runHere(['events', ...own, ...words])
      assert.deepEqual({ out, status }, { out: '', status: 2 }, own.join(' '))
      assert.match(err, pattern)
    }
  })

  test('a mistyped home is an error, not a new home', async () => {
    const { err, status } = await runHere(['events', 'send', 'x', '--home', '/nowhere/at/all'])
    assert.match(err, /^nightjar: Cannot find a home in "\/nowhere\/at\/all"/)
    assert.equal(status, 1)
  })
})

suite('events on the Pub/Sub emulator', { skip: skipWithoutPubsub }, () => {
  let made = 0

  /** An instance of its own in an emulator of its own, that the test ends. */
  async function cloudPlace(t: TestContext): Promise<Place> {
    const emulator = await startPubsub(256)
    const project = `events-${++made}`
    t.after(async () => {
      const topics = await openTopics({ project, emulator: emulator.host })
      const [found] = await topics.pubsub.getSubscriptions()
      await topics.close()
      await emulator.kill()
      // Listeners have taken theirs with them.
      assert.ok(found.every(({ name }) => !name.includes('events.topic.')))
    })
    return {
      words: ['--cloud', '--project', project, '--instance', 'rc1'],
      env: { PUBSUB_EMULATOR_HOST: emulator.host },
    }
  }

  keeps(cloudPlace)
})
