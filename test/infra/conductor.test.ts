/** The night conductor as a function: what the stack makes of it, and that no machine is made then. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { parse } from 'smol-toml'

import { parseConfig } from '../../consumer/config.ts'
import { variables } from '../../core/environment.ts'
import { readStreams } from '../../infra/streams.ts'
import { production, skipWithoutPackages, synthesised, type Fields } from './stacks.ts'

const options = { skip: skipWithoutPackages }
const dir = mkdtempSync(join(tmpdir(), 'nightjar-conductor-'))
after(() => rmSync(dir, { recursive: true }))

const fieldsOf = (value: unknown): Fields => (value ?? {}) as Fields
const withInstance = { ...production, instance: 'rc1' }

async function conductor(config = production): Promise<{ made: Fields; service: Fields }> {
  const { resources } = await synthesised(config)
  const made = fieldsOf(resources['google_cloudfunctions2_function']?.['function-lsst-conductor'])
  return { made, service: fieldsOf(made['service_config']) }
}

test(
  'a survey that asks for it is conducted by a function, one call at a time',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const machines = Object.keys(resources['google_compute_instance'] ?? {})
    assert.ok(!machines.includes('machine-lsst-conductor'))
    const { made, service } = await conductor()
    assert.equal(made['name'], 'lsst-conductor')
    const build = fieldsOf(made['build_config'])
    assert.deepEqual([build['entry_point'], build['runtime']], ['conductor', 'nodejs24'])
    assert.equal(service['max_instance_count'], 1)
    assert.equal(service['max_instance_request_concurrency'], 1)
    assert.equal(service['available_memory'], '1Gi')
    assert.equal(service['timeout_seconds'], 900)
    assert.equal(service['ingress_settings'], 'ALLOW_INTERNAL_ONLY')
    assert.match(String(service['service_account_email']), /account-lsst-conductor\.email/)
  },
)

test(
  'it is told what it reads at its start, by the names that it reads them by',
  options,
  async () => {
    for (const config of [production, withInstance]) {
      const { service } = await conductor(config)
      const told = fieldsOf(service['environment_variables'])
      assert.equal(told[variables.project], config.project)
      assert.equal(told[variables.survey], 'lsst')
      assert.equal(told[variables.instance], 'instance' in config ? 'rc1' : undefined)
      assert.equal(told[variables.zone], config.zone)
      assert.match(
        String(told['NIGHTJAR_CONFIG']),
        /^gs:\/\/\$\{google_storage_bucket\.bucket-broker_files\.name\}\/\$\{google_storage_bucket_object\.object-lsst-conductor-streams\.name\}$/,
      )
    }
  },
)

test(
  'its configuration finds each secret where it is mounted, and no other is its to read',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const { service } = await conductor()
    const volumes = service['secret_volumes'] as {
      mount_path: string
      secret: string
      versions: { path: string; version: string }[]
    }[]
    const files = volumes.flatMap(({ mount_path: folder, versions }) =>
      versions.map(({ path }) => `${folder}/${path}`),
    )
    assert.deepEqual(
      volumes.map(({ secret }) => secret),
      ['lsst-scram'],
    )
    const object = resources['google_storage_bucket_object']?.['object-lsst-conductor-streams']
    const settings = parse(String(object?.['content'])) as {
      streams: Record<string, { sasl: { password: { file: string } } }>
    }
    assert.deepEqual(files, [settings.streams['lsst']?.sasl.password.file])
    assert.ok(parseConfig(settings, {}).config.streams['lsst'])
    const granted = Object.keys(resources['google_secret_manager_secret_iam_member'] ?? {})
    assert.deepEqual(
      granted.filter((id) => /^lsst-.*-to-conductor$/.test(id)),
      ['lsst-scram-to-conductor'],
    )
  },
)

test('only the caller may call it, and the clock does, in its name', options, async () => {
  const { resources, all } = await synthesised(production)
  const calls = all.filter(({ fields }) =>
    String(fields['service']).includes('function-lsst-conductor.'),
  )
  assert.deepEqual(
    calls.map(({ fields }) => [fields['role'], fields['member']]),
    [['roles/run.invoker', 'serviceAccount:${google_service_account.account-lsst-caller.email}']],
  )
  const job = fieldsOf(resources['google_cloud_scheduler_job']?.['tick-lsst'])
  assert.equal(job['schedule'], '*/5 * * * *')
  assert.equal(job['attempt_deadline'], '900s')
  assert.deepEqual(job['retry_config'], { retry_count: 0 })
  assert.equal(job['paused'], false)
  const target = fieldsOf(job['http_target'])
  const uri = '${google_cloudfunctions2_function.function-lsst-conductor.service_config[0].uri}'
  assert.equal(target['uri'], uri)
  assert.deepEqual(target['oidc_token'], {
    audience: uri,
    service_account_email: '${google_service_account.account-lsst-caller.email}',
  })
  const paused = await synthesised(withInstance)
  assert.equal(paused.resources['google_cloud_scheduler_job']?.['tick-lsst']?.['paused'], true)
})

test(
  'it may do to its survey what the machine may, but for the machine that is not there',
  options,
  async () => {
    const { all } = await synthesised(production)
    /** Its grants that stand for what both surveys have: no secrets, and no topic that one of them lacks. */
    const grantsOf = (survey: string): string[] =>
      all
        .filter(({ fields }) => String(fields['member']).includes(`account-${survey}-conductor.`))
        .filter(({ type }) => !type.includes('secret'))
        .map(({ address, fields }) =>
          `${address} ${String(fields['role'])}`.replaceAll(survey, '*'),
        )
        .filter((grant) => !/exgalac|salt2/.test(grant))
        .sort()
    const machines = grantsOf('ztf')
    const own = machines.filter((grant) => /\*-conductor-by-conductor/.test(grant))
    assert.equal(own.length, 1)
    assert.deepEqual(
      grantsOf('lsst'),
      machines.filter((grant) => !own.includes(grant)),
    )
  },
)

test('who looks after it hears when it fails, and when it no longer ticks', options, async () => {
  const { resources } = await synthesised(production)
  const alarms = fieldsOf(resources['google_monitoring_alert_policy'])
  const silent = JSON.stringify(alarms['alarm-lsst-no-conductor'])
  assert.match(silent, /lsst-conductor.*run\.googleapis\.com\/request_count.*2xx/)
  assert.match(silent, /"duration":"3600s"/)
  const metric = resources['google_logging_metric']?.['said-lsst-conductor']
  assert.match(String(metric?.['filter']), /service_name = "lsst-conductor" AND severity >= ERROR/)
  assert.ok(alarms['alarm-lsst-conductor-errors'])
})

test('a stream that is logged in to by Kerberos wants the machine', () => {
  const byFunction = ['ztf'] as const
  assert.throws(
    () => readStreams(production.streams, ['ztf', 'lsst'], { byFunction }),
    (error: Error) => {
      assert.match(
        error.message,
        /1 fault\n {2}streams\.ztf\.sasl\.mechanism: a function cannot log in by Kerberos, .*conductor\.ztf = "machine"/,
      )
      return true
    },
  )
  const file = join(dir, 'open.toml')
  writeFileSync(file, '[streams.ztf]\nsurvey = "ztf"\nbrokers = ["kafka.example.org:9092"]\n')
  assert.ok(readStreams(file, ['ztf'], { byFunction }))
})
