import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'

import { secretWords } from '../../core/names.ts'
import { readStreams } from '../../infra/streams.ts'
import { production, skipWithoutPackages, synthesised, type Fields } from './stacks.ts'

const options = { skip: skipWithoutPackages }
const repository = resolve(import.meta.dirname, '../..')
const dir = mkdtempSync(join(tmpdir(), 'nightjar-streams-'))
after(() => rmSync(dir, { recursive: true }))

const fieldsOf = (value: unknown): Fields => (value ?? {}) as Fields

test(
  'P26 every machine is shielded, has no address of the outside and an account of its own',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const machines = Object.entries(resources['google_compute_instance'] ?? {})
    assert.deepEqual(machines.map(([, { name }]) => name).sort(), [
      'lsst-consumer',
      'night-conductor',
      'ztf-consumer',
    ])
    for (const [id, machine] of machines) {
      assert.deepEqual(
        fieldsOf(machine['shielded_instance_config']),
        { enable_integrity_monitoring: true, enable_secure_boot: true, enable_vtpm: true },
        id,
      )
      const cards = machine['network_interface'] as Fields[]
      assert.deepEqual(cards.map(Object.keys), [['subnetwork']], id)
      const [, survey, program] = id.split('-')
      assert.match(
        String(fieldsOf(machine['service_account'])['email']),
        new RegExp(`google_service_account.account-${survey}-${program}.email`),
      )
      const metadata = fieldsOf(machine['metadata'])
      assert.equal(metadata['enable-oslogin'], 'TRUE')
      assert.equal(metadata['block-project-ssh-keys'], 'TRUE')
      assert.equal(metadata['serial-port-logging-enable'], 'TRUE')
    }
  },
)

test(
  'P14 P23 every file of a machine is pinned to a generation and to its SHA-256',
  options,
  async () => {
    const { resources, text } = await synthesised(production)
    // Fetched by its name alone a script could be replaced by who may write to the bucket.
    assert.doesNotMatch(text, /startup-script-url/)
    for (const [id, { metadata }] of Object.entries(resources['google_compute_instance'] ?? {})) {
      const program = id.split('-')[2] ?? ''
      const told = fieldsOf(metadata)
      assert.match(String(told['startup-script']), /^\$\{file\(".*boot\.sh"\)\}$/)
      const lines = String(told['NIGHTJAR_FILES']).split('\n')
      const words = lines.map((line) => {
        const [sha256 = '', generation = '', bucket = '', object = '', word = '', ...more] =
          line.split(' ')
        assert.match(sha256, /^[0-9a-f]{64}$/)
        assert.match(
          generation,
          /^\$\{google_storage_bucket_object\.object-\w+-[\w-]+\.generation\}$/,
        )
        assert.equal(bucket, '${google_storage_bucket.bucket-broker_files.name}')
        assert.match(object, /^\$\{google_storage_bucket_object\.object-\w+-[\w-]+\.name\}$/)
        assert.deepEqual(more, [])
        return [word, sha256] as const
      })
      assert.deepEqual(
        words.map(([word]) => word),
        ['program', 'streams', 'startup'],
      )
      const script = readFileSync(join(repository, program, 'vm_startup.sh'))
      assert.equal(words[2]?.[1], createHash('sha256').update(script).digest('hex'))
    }
  },
)

test(
  'out the machines go through one address, to what they need; in comes nobody but by IAP',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const nat = fieldsOf(resources['google_compute_router_nat']?.['nat'])
    assert.equal(nat['nat_ip_allocate_option'], 'MANUAL_ONLY')
    assert.equal((nat['nat_ips'] as unknown[]).length, 1)
    const walls = Object.values(resources['google_compute_firewall'] ?? {})
    const incoming = walls.filter(({ direction }) => direction === 'INGRESS')
    assert.deepEqual(
      incoming.map(({ source_ranges: from, allow }) => [from, allow]),
      [[['35.235.240.0/20'], [{ ports: ['22'], protocol: 'tcp' }]]],
    )
    const outgoing = walls.filter(({ direction }) => direction === 'EGRESS')
    const allowed = outgoing.flatMap(({ allow }) => (allow ?? []) as Fields[])
    assert.deepEqual(allowed, [
      { ports: ['443', '88', '9092-9094'], protocol: 'tcp' },
      { ports: ['53', '88', '123'], protocol: 'udp' },
    ])
    const denied = outgoing.filter(({ deny }) => deny !== undefined)
    assert.deepEqual(
      denied.map(({ deny }) => deny),
      [[{ protocol: 'all' }]],
    )
    assert.ok(Number(denied[0]?.['priority']) > Number(outgoing[0]?.['priority']))
  },
)

test(
  'a survey’s secrets are containers, for its two programs and nobody else',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const secrets = Object.values(resources['google_secret_manager_secret'] ?? {})
    assert.equal(secrets.length, secretWords.length * production.surveys.length)
    assert.equal(resources['google_secret_manager_secret_version'], undefined)
    for (const grant of Object.values(resources['google_secret_manager_secret_iam_member'] ?? {})) {
      const survey = /secret-(\w+)-/.exec(String(grant['secret_id']))?.[1]
      assert.equal(grant['role'], 'roles/secretmanager.secretAccessor')
      assert.match(
        String(grant['member']),
        new RegExp(`account-${survey}-(consumer|conductor)\\.email`),
      )
    }
    const machines = resources['google_compute_instance'] ?? {}
    const told = (id: string): unknown => fieldsOf(machines[id]?.['metadata'])['NIGHTJAR_SECRETS']
    assert.equal(
      told('machine-ztf-consumer'),
      'krb5-conf ztf-krb5-conf\nkrb5-keytab ztf-krb5-keytab',
    )
    assert.equal(told('machine-lsst-consumer'), 'scram lsst-scram')
  },
)

test(
  'the conductor may do what its actions ask for, on what they are done to',
  options,
  async () => {
    const { resources, all } = await synthesised(production)
    const permissions = Object.fromEntries(
      Object.entries(resources['google_project_iam_custom_role'] ?? {}).map(([id, role]) => [
        id.replace('role-', ''),
        role['permissions'],
      ]),
    )
    assert.deepEqual(permissions['machinist'], [
      'compute.instances.get',
      'compute.instances.setMetadata',
      'compute.instances.start',
      'compute.instances.stop',
    ])
    assert.deepEqual(permissions['starter'], ['compute.instances.start'])
    assert.deepEqual(permissions['pauser'], [
      'pubsub.subscriptions.get',
      'pubsub.subscriptions.update',
    ])
    assert.deepEqual(permissions['seeker'], ['pubsub.subscriptions.consume'])
    assert.deepEqual(permissions['watcher'], [
      'compute.zoneOperations.get',
      'monitoring.timeSeries.list',
    ])

    const grants = all.filter(({ fields }) =>
      String(fields['member']).includes('account-ztf-conductor.'),
    )
    const on = (type: string, key: string): string[] =>
      grants
        .filter((grant) => grant.type === type)
        .map(({ fields }) => `${nameOf(fields['role'])} ${nameOf(fields[key])}`)
        .sort()
    assert.deepEqual(on('google_project_iam_member', 'project'), [
      'role-watcher my-project',
      'roles/bigquery.jobUser my-project',
    ])
    assert.deepEqual(on('google_compute_instance_iam_member', 'instance_name'), [
      'role-machinist machine-ztf-conductor',
      'role-machinist machine-ztf-consumer',
    ])
    assert.deepEqual(on('google_service_account_iam_member', 'service_account_id'), [
      'roles/iam.serviceAccountUser account-ztf-caller',
      'roles/iam.serviceAccountUser account-ztf-consumer',
    ])
    // Every push subscription of the survey can be paused, and stays as the conductor left it.
    const pushed = Object.entries(resources['google_pubsub_subscription'] ?? {}).filter(
      ([id, { push_config: push }]) => id.startsWith('subscription-ztf-') && push !== undefined,
    )
    const expected = pushed.map(([id, { lifecycle }]) => {
      assert.deepEqual(fieldsOf(lifecycle)['ignore_changes'], ['push_config'], id)
      return `role-pauser ${id}`
    })
    const may = on('google_pubsub_subscription_iam_member', 'subscription')
    assert.deepEqual(
      may.filter((grant) => grant.startsWith('role-pauser')),
      expected.sort(),
    )
    assert.ok(
      may
        .filter((grant) => grant.startsWith('role-seeker'))
        .every((grant) => /counter$/.test(grant)),
    )
    const publishes = on('google_pubsub_topic_iam_member', 'topic')
    for (const word of ['ledger', 'dead_letter', 'night', 'alert_data', 'exgalac_trans']) {
      assert.ok(publishes.includes(`roles/pubsub.publisher topic-ztf-${word}`), word)
    }
  },
)

/** `${google_x.machine-ztf-consumer.name}` → `machine-ztf-consumer`. */
const nameOf = (value: unknown): string => String(value).replace(/^\$\{\w+\.([\w-]+)\.\w+\}$/, '$1')

test(
  'the scheduler starts the conductor, in the name of who may do nothing else; not a test instance’s',
  options,
  async () => {
    const jobOf = async (config: typeof production): Promise<Fields> => {
      const { resources } = await synthesised(config)
      return fieldsOf(resources['google_cloud_scheduler_job']?.['tick-ztf'])
    }
    const job = await jobOf(production)
    assert.equal(job['paused'], false)
    assert.equal(job['schedule'], production.tick)
    const target = fieldsOf(job['http_target'])
    assert.match(
      String(target['uri']),
      /\/instances\/\$\{google_compute_instance\.machine-ztf-conductor\.name\}\/start$/,
    )
    assert.match(
      String(fieldsOf(target['oauth_token'])['service_account_email']),
      /account-ztf-caller/,
    )
    assert.equal((await jobOf({ ...production, instance: 'rc1' }))['paused'], true)
  },
)

test(
  'P31 machines of two instances share neither network nor secret nor file',
  options,
  async () => {
    const textOf = async (config: typeof production): Promise<string> => {
      const { all } = await synthesised(config)
      const own = all.filter(({ type }) => /compute|secret|scheduler|storage_bucket$/.test(type))
      return JSON.stringify(own.map(({ fields }) => fields))
    }
    const test = await textOf({ ...production, instance: 'rc1' })
    for (const name of [
      ...['ztf-consumer', 'night-conductor', 'ztf-krb5-keytab', 'nightjar-network', 'nightjar-nat'],
      ...['nightjar-egress', 'nightjar-machines', 'my-project-broker_files'],
    ]) {
      assert.match(test, new RegExp(`${name}-rc1\\b`), name)
      assert.doesNotMatch(test, new RegExp(`[" /\\\\n]${name}(?!-rc1|-tick-rc1)[" /\\\\]`), name)
    }
    assert.match(test, /"NIGHTJAR_INSTANCE":"rc1"/)
  },
)

/** Read a file of streams. */
function streamsOf(text: string) {
  const file = join(dir, 'streams.toml')
  writeFileSync(file, text)
  return readStreams(file, ['ztf'])
}

const bothRead = (secrets: string[], port: number) => ({
  secrets: { consumer: secrets, conductor: secrets },
  ports: [port],
})

test('the streams say which secrets a machine needs, and which ports', () => {
  const known = readStreams(production.streams, ['ztf', 'lsst'])
  assert.deepEqual(known.get('ztf'), bothRead(['krb5-conf', 'krb5-keytab'], 9094))
  assert.deepEqual(known.get('lsst'), bothRead(['scram'], 9094))
  const open = '[streams.any]\nsurvey = "ztf"\nbrokers = ["kafka.example.org:19092", "b:19092"]\n'
  assert.deepEqual(streamsOf(open).get('ztf'), bothRead([], 19092))
  const mail = '[conductor.mail]\npassword = { file = "/run/nightjar/secrets/mail" }\n'
  assert.deepEqual(streamsOf(`${open}${mail}`).get('ztf'), {
    secrets: { consumer: [], conductor: ['mail'] },
    ports: [19092, 587],
  })
})

test('a file of streams with a secret in it, or with a file that no machine has, is refused', () => {
  const stream = '[streams.ztf]\nsurvey = "ztf"\nbrokers = ["kafka.example.org:9092"]\n'
  assert.throws(
    () =>
      streamsOf(`${stream}tls = { ca = "/etc/nightjar/ca.pem" }
[streams.ztf.sasl]
mechanism = "scram-sha-512"
password = "hunter2"
[conductor]
webhook = { env = "NIGHTJAR_WEBHOOK" }
`),
    (error: Error) => {
      assert.match(error.message, /to the machines: 3 faults\n/)
      assert.match(
        error.message,
        /streams\.ztf\.tls\.ca: "\/etc\/nightjar\/ca\.pem" is not on a machine; there are/,
      )
      assert.match(
        error.message,
        /streams\.ztf\.sasl\.password: must be a file below \/run\/nightjar\/secrets\//,
      )
      assert.match(error.message, /conductor\.webhook: must be a file below/)
      assert.doesNotMatch(error.message, /hunter2/)
      return true
    },
  )
  assert.throws(
    () => streamsOf('[streams.lsst]\nsurvey = "lsst"\n'),
    /streams\.ztf: a stream of ztf must be there; there is none/,
  )
  assert.throws(() => streamsOf('streams = ['), /Cannot read ".*streams\.toml": /)
})
