import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { bundleMachine } from '../../cli/bundle.ts'
import { nightjar } from '../../cli/main.ts'
import type { World } from '../../cli/world.ts'
import { openSubscription } from '../../cloud/subscription.ts'
import { openTopics } from '../../cloud/topics.ts'
import { subscriptionName, type Instance } from '../../core/names.ts'
import {
  freePort,
  skipWithoutBigquery,
  skipWithoutGcs,
  skipWithoutPubsub,
} from '../cloud/emulators.ts'
import { startInstance } from '../cloud/instance.ts'
import { skipWithoutKafka, startKafka } from '../consumer/kafka/broker.ts'
import { skipWithoutKdc, startKdc } from '../consumer/kafka/kdc.ts'
import { loadNight } from '../consumer/kafka/night.ts'
import { makeNight } from '../night/harness.ts'
import { cannotUnshare, repository, startMachine } from './machine.ts'

const skip =
  skipWithoutKafka ||
  skipWithoutKdc ||
  skipWithoutPubsub ||
  skipWithoutGcs ||
  skipWithoutBigquery ||
  cannotUnshare()
const at: Instance = { survey: 'ztf', project: 'my-project', instance: 'rc1' }
const dir = mkdtempSync(join(tmpdir(), 'nightjar-program-'))
after(() => rmSync(dir, { recursive: true }))

/** Run a unit's program as systemd would, until the file `stop` is there; then as at a shutdown. */
const asSystemd = (folder: string, env: Record<string, string>, port: number): string => `
cd ${folder}/work
mapfile -t told </run/nightjar/environment
for fact in "\${told[@]}"; do export "$fact"; done
eval "set -- $(sed -n 's/^ExecStart=//p' /etc/systemd/system/nightjar-consumer.service | sed s/9464/${port}/)"
setpriv --reuid=nightjar --regid=nightjar --clear-groups env -i "\${told[@]}" PATH=${folder}/bin:/usr/bin:/bin \
  NOTIFY_SOCKET=/run/systemd/notify WATCHDOG_USEC=1500000 \
  ${Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')} "$@" &
main=$!
for turn in $(seq 1200); do
  [ -e ${folder}/stop ] && break
  kill -0 $main || break
  sleep 0.1
done
kill -TERM $main
SECONDS=0
wait $main
status=$?
echo "ended with $status after $SECONDS s"
exit $status
`

test(
  'P2 what the consumer’s machine starts logs in by Kerberos, takes the night in, and drains when it is stopped',
  { skip, timeout: 300_000 },
  async () => {
    const night = makeNight(dir, { alerts: 60 })
    const there = night.truths.filter(({ kind }) => kind !== 'gap').length
    mkdirSync(join(dir, 'bundle'))
    const bundle = await bundleMachine(join(dir, 'bundle'))
    const kdc = await startKdc()
    const keytab = kdc.keytabOf('pitt-reader')
    const jaas =
      'com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true ' +
      `keyTab="${kdc.keytabOf('kafka/localhost')}" principal="kafka/localhost@KAFKA.SECURE";`
    const kafka = await startKafka({
      listeners: { KRB: { protocol: 'SASL_PLAINTEXT', host: 'localhost' } },
      properties: {
        'sasl.enabled.mechanisms': 'GSSAPI',
        'sasl.kerberos.service.name': 'kafka',
        'listener.name.krb.gssapi.sasl.jaas.config': jaas,
      },
      jvm: [`-Djava.security.krb5.conf=${kdc.krb5Config}`],
    })
    const cloud = await startInstance(at)
    const machine = await startMachine()
    const topics = await openTopics({ project: at.project, emulator: cloud.pubsub.host })
    try {
      await loadNight(kafka, night)
      // The deployment's own file, at this Kafka.
      const streams = readFileSync(join(repository, 'infra/streams.toml'), 'utf8').replace(
        'public2.alerts.ztf.uw.edu:9094',
        `localhost:${kafka.portOf('KRB')}`,
      )
      const script = readFileSync(join(repository, 'consumer/vm_startup.sh'))
      const lines = [
        await machine.upload('program', readFileSync(bundle.archive), 'program'),
        await machine.upload('streams', Buffer.from(streams), 'streams'),
        await machine.upload('startup', script, 'startup'),
      ]
      for (const [key, value] of Object.entries({
        NIGHTJAR_FILES: lines.join('\n'),
        NIGHTJAR_SECRETS: 'krb5-conf ztf-krb5-conf-rc1\nkrb5-keytab ztf-krb5-keytab-rc1',
        NIGHTJAR_SURVEY: 'ztf',
        NIGHTJAR_INSTANCE: 'rc1',
        NIGHT: night.night,
      })) {
        machine.attributes.set(key, value)
      }
      machine.secrets.set('ztf-krb5-conf-rc1', readFileSync(kdc.krb5Config, 'latin1'))
      machine.secrets.set('ztf-krb5-keytab-rc1', readFileSync(keytab, 'latin1'))

      for (const folder of ['work', 'log']) {
        mkdirSync(machine.path(folder), { recursive: true })
        chmodSync(machine.path(folder), 0o777)
      }
      const heard = machine.path('log/notify')
      writeFileSync(machine.path('bin/systemd-notify'), `#!/bin/sh\necho "$*" >>${heard}\n`)
      chmodSync(machine.path('bin/systemd-notify'), 0o755)
      const { PUBSUB_EMULATOR_HOST = '', STORAGE_EMULATOR_HOST = '' } = cloud.env
      const env = { PUBSUB_EMULATOR_HOST, STORAGE_EMULATOR_HOST }
      const booted = machine.boot({ then: asSystemd(machine.path(''), env, await freePort()) })

      const got = new Set<string>()
      const subscription = await openSubscription({
        topics,
        name: subscriptionName(at, 'alert_data', 'packets'),
      })
      const stop = new AbortController()
      void booted.finally(() => stop.abort())
      const late = setTimeout(() => stop.abort(), 150_000)
      await subscription.receive(
        async ({ attributes }) => {
          got.add(`${attributes['kafka.partition']}@${attributes['kafka.offset']}`)
          if (got.size === there) stop.abort()
        },
        { signal: stop.signal },
      )
      clearTimeout(late)
      await subscription.close()
      const words = (): string => (existsSync(heard) ? readFileSync(heard, 'utf8') : '')
      for (let turn = 0; turn < 200 && !/WATCHDOG=1/.test(words()); turn++) await pause(100)
      writeFileSync(machine.path('stop'), '')
      const { said, run } = await booted
      assert.equal(got.size, there, said)
      const seconds = Number(/ended with 0 after (\d+) s/.exec(said)?.[1])
      assert.ok(seconds < 75, said)
      assert.match(said, /"event":"intake_ended"/)
      assert.match(words(), /READY=1[^]*WATCHDOG=1[^]*STOPPING=1/)
      assert.deepEqual(
        [run.get('secrets/krb5-keytab')?.mode, run.get('secrets/krb5-keytab')?.user],
        ['400', 'nightjar'],
      )
    } finally {
      await topics.close()
      await machine.close()
      await cloud.kill()
      await kafka.stop()
      await kdc.stop()
    }
  },
)

test('every word of the units’ command lines is one that the program knows', () => {
  const world: World = {
    out() {},
    err() {},
    tty: false,
    columns: 80,
    env: {},
    now: () => new Date(),
    signal: new AbortController().signal,
    exit() {},
  }
  const lines = ['consumer', 'conductor'].flatMap((program) => {
    const unit = readFileSync(join(repository, program, `nightjar-${program}.service`), 'utf8')
    return [...unit.matchAll(/^ExecStart(?:Pre)?=-?\S+\/nightjar (.*)$/gm)].map(
      ([, line = '']) => line,
    )
  })
  assert.equal(lines.length, 3)
  for (const line of lines) {
    const words = line
      .replace('${NIGHTJAR_SURVEY}', 'ztf')
      .replace(/^conductor \$NIGHTJAR_WORDS/, 'conductor start')
      .replace('$NIGHTJAR_WORDS', '--night 20261121')
      .split(' ')
    let command = nightjar(world)
    while (words.length > 0) {
      const next = command.commands.find((one) => one.name() === words[0])
      if (next === undefined) break
      command = next
      words.shift()
    }
    const { operands, unknown } = command.parseOptions(words)
    assert.deepEqual([operands, unknown], [[], []], line)
  }
})
