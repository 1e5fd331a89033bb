import assert from 'node:assert/strict'
import { test } from 'node:test'

import { production, skipWithoutPackages, synthesised, type Fields } from './stacks.ts'

const options = { skip: skipWithoutPackages }

const textOf = (value: unknown): string => JSON.stringify(value) ?? ''
const fieldsOf = (value: unknown): Fields => (value ?? {}) as Fields

test('nobody is everybody, and no role is a primitive one', options, async () => {
  const { all } = await synthesised(production)
  for (const { address, fields } of all) {
    assert.doesNotMatch(textOf(fields), /allUsers|allAuthenticatedUsers/, address)
    const { role = '' } = fields
    assert.doesNotMatch(String(role), /^roles\/(owner|editor|viewer)$/, address)
  }
})

test('every bucket is locked: uniform access, no public access, soft delete', options, async () => {
  const { resources } = await synthesised(production)
  const buckets = Object.values(resources['google_storage_bucket'] ?? {})
  assert.equal(buckets.length, 5)
  for (const bucket of buckets) {
    assert.equal(bucket['uniform_bucket_level_access'], true)
    assert.equal(bucket['public_access_prevention'], 'enforced')
    assert.ok(bucket['soft_delete_policy'])
  }
})

test(
  'every subscription outlives idleness, and every one but that of the dead letters buries',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const subscriptions = Object.entries(resources['google_pubsub_subscription'] ?? {})
    assert.ok(subscriptions.length >= 10)
    for (const [id, subscription] of subscriptions) {
      assert.deepEqual(subscription['expiration_policy'], { ttl: '' }, id)
      const policy = fieldsOf(subscription['dead_letter_policy'])
      if (id.includes('dead_letter')) assert.deepEqual(policy, {})
      else assert.match(String(policy['dead_letter_topic']), /topic-\w+-dead_letter\.id/, id)
    }
  },
)

test('a dead-letter policy has both grants, without which it does nothing', options, async () => {
  const { resources } = await synthesised(production)
  const onTopics = Object.values(resources['google_pubsub_topic_iam_member'] ?? {})
  const onSubscriptions = Object.values(resources['google_pubsub_subscription_iam_member'] ?? {})
  for (const survey of production.surveys) {
    assert.ok(
      onTopics.some(
        ({ topic, role, member }) =>
          String(topic).includes(`topic-${survey}-dead_letter.name`) &&
          role === 'roles/pubsub.publisher' &&
          String(member).includes('gcp-sa-pubsub'),
      ),
    )
  }
  for (const [id, subscription] of Object.entries(resources['google_pubsub_subscription'] ?? {})) {
    if (subscription['dead_letter_policy'] === undefined) continue
    assert.ok(
      onSubscriptions.some(
        ({ subscription: name, role, member }) =>
          String(name).includes(`.${id}.name`) &&
          role === 'roles/pubsub.subscriber' &&
          String(member).includes('gcp-sa-pubsub'),
      ),
      id,
    )
  }
})

test('every dead-letter topic has a subscription, or what dies is lost', options, async () => {
  const { resources } = await synthesised(production)
  const read = Object.values(resources['google_pubsub_subscription'] ?? {}).map(
    ({ topic }) => topic,
  )
  for (const survey of production.surveys) {
    assert.ok(read.includes(`\${google_pubsub_topic.topic-${survey}-dead_letter.id}`))
  }
})

test('no secret has a version here, and no key is made', options, async () => {
  const { resources, text } = await synthesised(production)
  assert.equal(resources['google_secret_manager_secret_version'], undefined)
  assert.equal(resources['google_service_account_key'], undefined)
  assert.doesNotMatch(text, /PRIVATE KEY|password"/i)
})

test('what can carry labels carries those a bill is read by', options, async () => {
  const { resources } = await synthesised(production)
  for (const type of [
    'google_pubsub_topic',
    'google_pubsub_subscription',
    'google_storage_bucket',
    'google_bigquery_dataset',
    'google_bigquery_table',
    'google_cloudfunctions2_function',
    'google_compute_instance',
    'google_secret_manager_secret',
  ]) {
    for (const [id, { labels }] of Object.entries(resources[type] ?? {})) {
      const found = fieldsOf(labels)
      assert.equal(found['application'], 'nightjar', id)
      assert.equal(found['instance'], 'production', id)
    }
  }
})

test(
  'destroy refuses production: whatever holds data is guarded there, and in a test instance is not',
  options,
  async () => {
    const holding = [
      'google_pubsub_topic',
      'google_pubsub_subscription',
      'google_storage_bucket',
      'google_bigquery_dataset',
      'google_bigquery_table',
      'google_secret_manager_secret',
    ]
    const guards = async (config: typeof production): Promise<Set<unknown>> => {
      const { resources } = await synthesised(config)
      const found = holding.flatMap((type) => Object.values(resources[type] ?? {}))
      return new Set(found.map(({ lifecycle }) => fieldsOf(lifecycle)['prevent_destroy']))
    }
    assert.deepEqual(await guards(production), new Set([true]))
    assert.deepEqual(await guards({ ...production, instance: 'rc1' }), new Set([false]))
  },
)

test(
  'requests that went well leave no line in the logs, and those that did not do',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const exclusions = resources['google_logging_project_exclusion'] ?? {}
    const made = Object.values(resources['google_cloudfunctions2_function'] ?? {})
    const filters = Object.values(exclusions).map(({ filter }) => String(filter))
    for (const { name } of made) assert.ok(filters.some((filter) => filter.includes(`"${name}"`)))
    for (const filter of filters) assert.match(filter, /requests.*httpRequest\.status < 300$/)
  },
)

test(
  'a million alerts are not kept twice: their topic keeps nothing that is acked',
  options,
  async () => {
    const { resources } = await synthesised(production)
    const topics = Object.entries(resources['google_pubsub_topic'] ?? {})
    for (const [id, topic] of topics) {
      const kept = topic['message_retention_duration']
      assert.equal(kept, id.endsWith('-alert_data') ? undefined : '604800s', id)
    }
  },
)

test('a stage can make objects in the archive and replace none', options, async () => {
  const { resources } = await synthesised(production)
  const archivist = fieldsOf(resources['google_project_iam_custom_role']?.['role-archivist'])
  assert.deepEqual(archivist['permissions'], [
    'storage.objects.create',
    'storage.objects.get',
    'storage.objects.list',
  ])
  const grants = Object.values(resources['google_storage_bucket_iam_member'] ?? {})
  const onArchive = grants.filter(({ bucket }) => String(bucket).includes('alert_avro_bucket'))
  assert.ok(onArchive.length > 0)
  for (const { role } of onArchive) {
    assert.ok(/archivist/.test(String(role)) || role === 'roles/storage.objectViewer', String(role))
  }
})

test('in an empty project nothing is made before its service is on', options, async () => {
  const { all, resources } = await synthesised(production)
  const on = Object.entries(resources['google_project_service'] ?? {})
  const known = new Map(on.map(([id, { service }]) => [`google_project_service.${id}`, service]))
  const others = all.filter(({ type }) => type !== 'google_project_service')
  for (const { address, fields } of others) {
    const waits = (fields['depends_on'] ?? []) as string[]
    assert.ok(
      waits.some((one) => known.has(one)),
      address,
    )
  }
  const topic = resources['google_pubsub_topic']?.['topic-ztf-ledger']?.['depends_on'] as string[]
  assert.deepEqual(
    topic.map((one) => known.get(one)),
    ['pubsub.googleapis.com'],
  )
})

test('what a test instance holds goes with it', options, async () => {
  for (const instance of [undefined, 'rc1']) {
    const config = { ...production, ...(instance !== undefined && { instance }) }
    const { resources } = await synthesised(config)
    for (const bucket of Object.values(resources['google_storage_bucket'] ?? {})) {
      assert.equal(bucket['force_destroy'], instance !== undefined)
    }
    for (const set of Object.values(resources['google_bigquery_dataset'] ?? {})) {
      assert.equal(set['delete_contents_on_destroy'], instance !== undefined)
    }
    for (const table of Object.values(resources['google_bigquery_table'] ?? {})) {
      assert.equal(table['deletion_protection'], instance === undefined)
    }
  }
})

test(
  'where no filters are wanted nothing of them is there, and all else is as it was',
  options,
  async () => {
    const [without, wanted] = await Promise.all(
      [false, true].map((filters) => synthesised({ ...production, filters })),
    )
    const addresses = (stack: typeof without): string[] =>
      (stack?.all ?? []).map(({ address }) => address)
    const more = addresses(wanted).filter((address) => !addresses(without).includes(address))
    assert.ok(addresses(without).every((address) => addresses(wanted).includes(address)))
    assert.ok(more.length > 20)
    // The conductor sends to a topic that is read now.
    for (const address of more) assert.match(address, /filter|fits|ztf-salt2-by-conductor/, address)
    assert.ok(more.includes('google_pubsub_subscription.subscription-ztf-alert_data-filter'))
    assert.ok(more.includes('google_pubsub_subscription.subscription-ztf-salt2-fits'))
    assert.ok(more.includes('google_cloudfunctions2_function.function-lsst-filter'))
    assert.ok(!more.includes('google_cloudfunctions2_function.function-lsst-fits'))
  },
)

test(
  'the functions of the filters may publish on no topic of results, and write no table',
  options,
  async () => {
    const { all } = await synthesised(production)
    const grants = all.filter(({ fields }) =>
      /account-(ztf|lsst)-(filter|fits)\.email/.test(String(fields['member'])),
    )
    const said = grants.map(({ type, fields }) => {
      const { role, topic, bucket } = fields
      const thing = /\.([\w-]+)\./.exec(String(topic ?? bucket))?.[1] ?? ''
      const what = String(role).includes('archivist') ? 'archivist' : String(role)
      return `${type.replace(/^google_|_iam_member$/g, '')} ${thing} ${what}`
    })
    const publishes = (survey: string): string[] => [
      `pubsub_topic topic-${survey}-dead_letter roles/pubsub.publisher`,
      `pubsub_topic topic-${survey}-ledger roles/pubsub.publisher`,
    ]
    assert.deepEqual([...new Set(said)].toSorted(), [
      ...publishes('lsst'),
      ...publishes('ztf'),
      'storage_bucket bucket-broker_files archivist',
      'storage_bucket bucket-ztf-alert_avro_bucket roles/storage.objectViewer',
    ])
  },
)
