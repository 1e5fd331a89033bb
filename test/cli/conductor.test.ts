import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

import { openHomeQueries } from '../../cli/door.ts'
import { darkness } from '../../conductor/darkness.ts'
import type { NightRecord } from '../../conductor/night-record.ts'
import type { PublicCount } from '../../conductor/public-count.ts'
import type { NightReport } from '../../conductor/report/gather.ts'
import type { Tick } from '../../conductor/tick.ts'
import { openGround } from '../../local/broker.ts'
import { homeAt, runningBroker } from '../../local/home.ts'
import type { Truth } from '../../simulator/truth.ts'
import { freePorts, skipWithoutKafka, startKafka, type Kafka } from '../consumer/kafka/broker.ts'
import { loadNight } from '../consumer/kafka/night.ts'
import { skipWithout } from '../data.ts'
import { makeNight, repository, runHere } from '../night/harness.ts'
import { skipWithoutPty, startOnTerminal, type Terminal } from './terminal.ts'
import { mailLogin, startMailServer, type MailServer } from './smtp-server.ts'
import { prepareHome, verifyHome } from '../night/verify.ts'

const at = { survey: 'ztf', project: 'local' } as const
const hour = 3_600_000

test(
  'nightjar conductor takes a night from its dusk to its proof',
  { skip: skipWithoutKafka },
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), 'nightjar-conductor-'))
    const home = join(dir, 'home')
    const config = join(dir, 'nightjar.toml')
    const night = makeNight(dir, { alerts: 300, seed: 'conductor', gaps: 0 })
    const dark = darkness('ztf', night.night)
    const lastOf = (partition: number): number =>
      Math.max(
        ...night.truths.filter((one) => one.partition === partition).map((one) => one.offset),
      )
    const isLate = ({ partition, offset }: Truth): boolean => offset > lastOf(partition) - 8
    let kafka: Kafka
    let hook: Server
    let mail: MailServer
    let away = 1
    const posted: { key?: string; text?: string }[] = []
    let offset = 0
    let watchOut: (() => unknown) | undefined

    const conductor = (verb = 'status', ...words: string[]) =>
      runHere(
        ['conductor', verb, '--home', home, '--config', config, '--night', night.night, ...words],
        {
          env: {
            PATH: process.env['PATH'] ?? '',
            HOOK: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/`,
            MAIL: mailLogin.password,
          },
          now: () => new Date(Date.now() + offset),
          onOut: () => watchOut?.(),
        },
      )
    const setClock = (to: number): void => void (offset = to - Date.now())
    const tickOnce = async (): Promise<Tick> => {
      const { out, err } = await conductor('tick', '--json')
      assert.notEqual(out, '', err)
      return JSON.parse(out) as Tick
    }
    const history = async (): Promise<NightRecord['history']> =>
      JSON.parse((await conductor('history', '--json')).out) as NightRecord['history']
    const subjects = (): string[] =>
      mail.letters.map(({ raw }) => /^Subject: Nightjar: ztf \d+: (.*)\r$/m.exec(raw)?.[1] ?? raw)
    const owner = (): number | undefined => runningBroker(homeAt(home))

    before(async () => {
      kafka = await startKafka()
      mail = await startMailServer()
      hook = createServer((request, response) => {
        let body = ''
        request.setEncoding('utf8').on('data', (text: string) => (body += text))
        request.on('end', () => {
          // It is away for its first call.
          if (away-- > 0) return response.writeHead(503).end()
          posted.push(JSON.parse(body) as { key?: string })
          return response.end()
        })
      }).listen(0, '127.0.0.1')
      await once(hook, 'listening')
      writeFileSync(
        config,
        `[streams.ztf]
survey = "ztf"
brokers = ${JSON.stringify(kafka.bootstrap.split(','))}
topics = ["ztf_{night}_programid1"]

[conductor]
gate = "1s"
stable = "2s"
settle = "0s"
drain_limit = "2m"
audit_limit = "2m"
webhook = { env = "HOOK" }
summary = true

[conductor.mail]
host = "127.0.0.1"
port = ${mail.port}
ca = ${JSON.stringify(mail.ca)}
username = "${mailLogin.user}"
password = { env = "MAIL" }
from = "night@example.org"
to = ["all@example.org"]
`,
      )
      await prepareHome(home)
      const ground = await openGround(home, at)
      await (await ground.subscription('night', 'test')).close()
      await ground.close()
    })
    after(async () => {
      const pid = owner()
      if (pid !== undefined) process.kill(pid, 'SIGKILL')
      hook.close()
      await mail.close()
      await kafka.stop()
      rmSync(dir, { recursive: true })
    })

    await t.test('before its dusk it waits, and a dry run writes nothing', async () => {
      setClock(dark.dusk.getTime() - 20 * hour)
      assert.match((await conductor('tick', '--dry-run')).out, /^It would stay idle: dusk is far$/m)
      assert.equal((await conductor('history')).status, 2)
      assert.equal((await tickOnce()).record.state, 'idle')
      setClock(dark.dusk.getTime())
      assert.match((await conductor('tick', '--dry-run')).out, /^idle → waiting: dusk is near$/m)
      assert.equal((await tickOnce()).record.state, 'waiting')
      assert.equal((await tickOnce()).why, 'the topic is absent')
      assert.equal(owner(), undefined)
    })

    await t.test(
      'the topic has data: a consumer starts, and starts again after kill -9',
      async () => {
        await loadNight(kafka, night, { partitions: 4, part: (truth) => !isLate(truth) })
        const { record, left } = await tickOnce()
        assert.equal(record.state, 'running')
        assert.deepEqual(left, [])
        const first = owner()
        assert.ok(first)
        process.kill(first, 'SIGKILL')
        while (owner() !== undefined) await new Promise((resolve) => setTimeout(resolve, 20))
        const raised = await conductor('tick')
        assert.match(raised.out, /start consumer/)
        assert.match(raised.err, /alarm_raised .*consumer_stopped/)
        assert.match(raised.err, /notice_retried .*the webhook answers 503/)
        assert.ok(owner() !== undefined && owner() !== first)
        assert.deepEqual([posted, subjects()], [[], ['consumer stopped']])
        offset += 31_000
        const again = await conductor('tick')
        assert.doesNotMatch(again.err, /alarm_raised/)
        await conductor('tick')
        assert.deepEqual(
          posted.map(({ key }) => key),
          ['consumer_stopped'],
        )
        assert.equal(subjects().length, 1)
        const shown = await conductor('status')
        assert.match(shown.out, /^consumer +running$/m)
        assert.match(shown.out, /^topic +has data$/m)
      },
    )

    let terminal: Terminal | undefined
    const watchOnTerminal = (): Terminal =>
      startOnTerminal(
        [
          ...['bin/nightjar', 'conductor', 'watch', '--every', '0.5s'],
          ...['--home', home, '--config', config, '--night', night.night],
        ],
        { rows: 30, columns: 100 },
        {
          env: { ...process.env, HOOK: 'http://127.0.0.1:1/', MAIL: 'none', TERM: 'xterm' },
          cwd: repository,
        },
      )

    await t.test(
      'watch draws the night on a terminal of any size',
      { skip: skipWithoutPty },
      async () => {
        const seen = watchOnTerminal()
        const frame = await seen.until((lines) =>
          lines.some((line) => /^rates +[\d.]+\/s came/.test(line)),
        )
        const shown = frame.join('\n')
        assert.match(shown, /^Night 20261121 of ztf, .*Z$/m)
        assert.match(shown, /^state +running since .*\(the topic has data\)$/m)
        assert.match(shown, /^dark +2026-11-21 .* to 2026-11-21 /m)
        assert.match(shown, /^deadline +\d{4}-\d\d-\d\d .*\(in \S/m)
        assert.match(shown, /^topic +has data$/m)
        assert.match(shown, /^consumer +running$/m)
        assert.match(shown, /^lag +[\d,]+ of [\d,]+ not committed$/m)
        assert.match(shown, /^audit +audit: /m)
        for (const stage of ['archive', 'warehouse', 'exgalac', 'salt2', 'ledger']) {
          assert.match(shown, new RegExp(`^${stage} +[\\d,]+$`, 'm'))
        }
        seen.resize(9, 40)
        const small = await seen.until((lines) => lines.length === 9)
        assert.ok(small.every((line) => [...line].length <= 40))
        assert.match(small.join('\n'), /^state .{33}…$/m)
        seen.resize(50, 120)
        await seen.until((lines) => lines.some((line) => line.startsWith('ledger')))
        seen.press('\x03')
        assert.equal(await seen.ended, 0)
        const after = seen.raw().split('\x1b[?1049l')
        assert.equal(after.length, 2, 'the screen is given back once')
        assert.match(after[0] ?? '', /\x1b\[\?25h$/, 'with its cursor')
        assert.match(after[1] ?? '', /^(\^C)?Night 20261121 of ztf, [^\x1b]+ledger +[\d,]+\r\n$/)
        terminal = watchOnTerminal()
        await terminal.until((lines) => lines.length > 5)
      },
    )

    await t.test(
      'after dawn it drains, audits, closes as complete and stops the consumer',
      async () => {
        setClock(dark.dawn.getTime() + 2000)
        const { out, err, status } = await conductor('start', '--every', '0.5s')
        assert.equal(status, 0, out + err)
        assert.match(out, /^complete: every alert is accounted for$/m)
        if (terminal !== undefined) {
          assert.equal(await terminal.ended, 0)
          assert.match(terminal.raw(), /\x1b\[\?1049lNight [^\x1b]*^state +complete since /m)
        }
        assert.equal(owner(), undefined)
        assert.deepEqual(
          (await history()).map(({ to }) => to),
          ['waiting', 'running', 'draining', 'auditing', 'complete'],
        )
      },
    )

    await t.test('late alerts reopen it, and it closes again with all of them', async () => {
      await loadNight(kafka, night, { part: isLate })
      assert.equal((await tickOnce()).record.state, 'reopened')
      const [port = 0] = await freePorts(1)
      let scraped: Promise<string> | undefined
      watchOut = () =>
        (scraped ??= fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text()))
      const { out, err, status } = await conductor(
        ...['start', '--every', '0.5s', '--metrics', String(port)],
      )
      watchOut = undefined
      assert.match((await scraped) ?? '', /^nightjar_night_state\{.*state="\w+"\} 1$/m)
      assert.equal(status, 0, out + err)
      assert.deepEqual(
        (await history()).slice(5).map(({ to }) => to),
        ['reopened', 'draining', 'auditing', 'complete'],
      )
      const ground = await openGround(home, at)
      const store = await ground.bucket('broker_files')
      const closed = []
      for await (const { name } of store.list(`audit/ztf_${night.night}/`)) closed.push(name)
      const last = await store.read(closed.at(-1) ?? '')
      await ground.close()
      // What a live consumer cannot say of itself: that the topic was read to its end.
      const once = ['--home', home, '--config', config, '--night', night.night, '--once', '--json']
      const ended = await runHere(['consume', ...once], {
        env: { HOOK: 'http://127.0.0.1:1/', MAIL: 'none' },
      })
      assert.equal((JSON.parse(ended.out) as { records: number }).records, 0)
      await verifyHome(home, night)
      const audited = await runHere(['audit', '--home', home, '--night', night.night, '--json'])
      assert.equal(closed.length, 2)
      assert.equal(
        (JSON.parse(Buffer.from(last?.data ?? []).toString()) as { digest: string }).digest,
        (JSON.parse(audited.out) as { digest: string }).digest,
      )
    })

    await t.test('the night was told once by mail and once by the hook', async () => {
      assert.deepEqual(subjects(), ['consumer stopped', 'complete'])
      assert.deepEqual(
        posted.map(({ key }) => key),
        ['consumer_stopped', 'summary'],
      )
      assert.match(posted[1]?.text ?? '', /^\d+ occurrences, \d+ archived, \d+ candidates/)
      assert.match(posted[1]?.text ?? '', /\nNothing is missing\.\nproof: [0-9a-f]{64}\n/)
    })

    await t.test('every transition and every report was published', async () => {
      const { out } = await runHere([
        ...['subscribe', 'ztf_night', '--home', home, '--name', 'ztf_night-test', '--drain'],
      ])
      const said = out
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { data: { event: string; to?: string } }).data)
      assert.deepEqual(
        said.flatMap(({ to }) => to ?? []),
        (await history()).map(({ to }) => to),
      )
      assert.equal(said.filter(({ event }) => event === 'night_reported').length, 2)
    })

    await t.test('the report has the proof, rates, latencies, the sky and candidates', async () => {
      const report = JSON.parse((await conductor('report', '--json')).out) as NightReport
      assert.equal(report.state, 'complete')
      const records = night.truths.length
      assert.equal(report.proof.stages[0]?.expected, records)
      const taken = report.rates.stages[0]?.steps.reduce((sum, n) => sum + n, 0)
      assert.ok(taken !== undefined && taken >= records)
      assert.ok(report.latencies.some(({ stage, count }) => stage === 'archive' && count > 0))
      const ground = await openGround(home, at)
      const queries = await openHomeQueries(ground)
      let alerts = 0
      for await (const row of queries.query('SELECT COUNT(DISTINCT candid) AS n FROM alerts')) {
        alerts = Number(row['n'])
      }
      await queries.close()
      await ground.close()
      const seen = report.sky.pixels.reduce((sum, pixel) => sum + pixel.alerts, 0)
      assert.equal(seen, alerts)
      assert.ok(report.candidates.length > 0)
      assert.ok(report.candidates.some(({ plot }) => plot?.startsWith('data:image/png;base64,')))
      const [page] = (await conductor('report')).out.trim().split('\n')
      assert.match(readFileSync(page ?? '', 'utf8'), /Complete: each of [\d,]+ occurrences/)
    })

    await t.test('it tells the sizes of all archived packets', async () => {
      const { sizes } = JSON.parse((await conductor('report', '--json')).out) as NightReport
      const ground = await openGround(home, at)
      const archive = await ground.bucket('alert_avro_bucket')
      const each: number[] = []
      for await (const { size } of archive.list('')) each.push(size)
      await ground.close()
      each.sort((a, b) => a - b)
      assert.equal(sizes?.packets, each.length)
      assert.deepEqual([sizes.min, sizes.max], [each[0], each.at(-1)])
      assert.equal(
        sizes.bytes,
        each.reduce((sum, size) => sum + size, 0),
      )
      assert.equal(
        sizes.histogram.counts.reduce((sum, n) => sum + n, 0),
        each.length,
      )
    })

    await t.test('held against a public archive of none, all of it is ours alone', async () => {
      const empty = join(dir, 'public.tar')
      writeFileSync(empty, new Uint8Array(1024))
      const { out, status } = await conductor('compare', '--archive', empty, '--json')
      assert.equal(status, 0, out)
      const { difference } = JSON.parse(out) as PublicCount
      assert.deepEqual([difference?.archived, difference?.missing.count], [0, 0])
      assert.ok((difference?.extra.count ?? 0) > 0)
      const report = JSON.parse((await conductor('report', '--json')).out) as NightReport
      assert.deepEqual(report.publicCount?.difference, difference)
      assert.equal(report.state, 'complete')
    })

    await t.test('watch shows a night line by line, and returns when it has ended', async () => {
      const { out, status } = await conductor('watch')
      assert.equal(status, 0)
      assert.match(out, /^[\d:]{8} · complete · topic has data · lag 0 · consumer stopped · /)
      assert.match(out, / · audit: nothing missing\n$/)
    })

    await t.test('a person ends a night for which no topic came', async () => {
      const before = await conductor('end', '--night', '20261122', '--dry-run')
      assert.match(before.out, /^idle → no_alerts: asked to end$/m)
      const { out, status } = await conductor('end', '--night', '20261122')
      assert.equal(status, 0)
      assert.equal(out, 'no_alerts: asked to end\n')
      const [page] = (await conductor('report', '--night', '20261122')).out.trim().split('\n')
      assert.match(readFileSync(page ?? '', 'utf8'), /No alerts came this night/)
    })

    const chromium = '/usr/bin/chromium'
    await t.test(
      'a browser shows the report whole',
      { skip: skipWithout(chromium, 'run make peers') },
      async () => {
        const [page] = (await conductor('report')).out.trim().split('\n')
        const words = ['--headless=new', '--no-sandbox', '--disable-gpu', '--dump-dom']
        const { stdout: dom } = await promisify(execFile)(
          chromium,
          [...words, `--user-data-dir=${dir}/chromium`, `file://${page}`],
          { timeout: 120_000, maxBuffer: 64 << 20 },
        )
        assert.match(dom, /<h1>ZTF 2026-11-21<\/h1>/)
        assert.match(dom, /<figure><img /)
        for (const heading of [
          ...['Over the night', 'What became of them', 'How long it took', 'How large they were'],
          ...['Where they lie', 'Candidates', 'Dead letters', 'The proof'],
        ]) {
          const [, section = ''] = dom.split(`<h2>${heading}</h2>`)
          assert.match(section.slice(0, 400), /<svg |<table>|<img |[0-9a-f]{64}/, heading)
        }
        assert.match(dom, /<li><b>\$[\d.]+<\/b>/)
        assert.match(dom, /<rect [^>]*height="[1-9]/)
        assert.match(
          dom,
          /<h3>What the survey published<\/h3><p>[\d,]+ alerts in [^<]+: 0 there and/,
        )
      },
    )
  },
)
