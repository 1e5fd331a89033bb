import assert from 'node:assert/strict'
import { homedir, tmpdir } from 'node:os'
import { test } from 'node:test'

import {
  everyStack,
  production,
  skipWithoutPackages,
  synthesise,
  synthesised,
  type Synthesised,
} from './stacks.ts'

const options = { skip: skipWithoutPackages }

/** Arguments by which Google tells one resource from another. */
const naming = ['name', 'account_id', 'role_id', 'dataset_id', 'secret_id', 'display_name']

/** Names of everything that is made; services of Google are switched on and nobody's own. */
function namesIn({ all }: Synthesised): Set<string> {
  return new Set(
    all.flatMap(({ type, fields }) => {
      if (type === 'google_project_service' || type === 'google_storage_bucket_object') return []
      return naming.flatMap((key) => {
        const name = fields[key]
        return typeof name === 'string' && !name.startsWith('${') ? [`${type} ${name}`] : []
      })
    }),
  )
}

test('P31 two instances in one project share no name', options, async () => {
  const first = namesIn(await synthesised(production))
  const second = namesIn(await synthesised({ ...production, instance: 'rc1' }))
  const third = namesIn(await synthesised({ ...production, instance: 'rc2' }))
  assert.ok(first.size > 40)
  assert.deepEqual(
    [...first].filter((name) => second.has(name)),
    [],
  )
  assert.deepEqual(
    [...second].filter((name) => third.has(name)),
    [],
  )
})

test('within an instance no name is made twice', options, async () => {
  const { all } = await synthesised(production)
  const seen = new Map<string, string>()
  for (const { type, address, fields } of all) {
    if (type.includes('iam_') || type === 'google_bigquery_routine') continue
    const own = [...naming, 'table_id', 'service', 'dashboard_json'].map((key) => fields[key] ?? '')
    const name = [type, fields['dataset_id'] ?? '', fields['bucket'] ?? '', ...own].join(' ')
    if (type === 'google_storage_notification') continue
    assert.equal(seen.get(name), undefined, `${address} and ${seen.get(name)}: ${name}`)
    seen.set(name, address)
  }
})

test(
  'service accounts keep to 30 characters, with the longest instance name',
  options,
  async () => {
    const { resources } = await synthesised({ ...production, instance: 'abcdefghijklmno' })
    for (const { account_id: id } of Object.values(resources['google_service_account'] ?? {})) {
      assert.match(String(id), /^[a-z][a-z0-9-]{5,29}$/)
    }
  },
)

test('two syntheses of the same configuration are the same bytes', options, async () => {
  const [first, second] = [await synthesise(production), await synthesise(production)]
  assert.equal(first.text, second.text)
})

test('nothing that is written names a folder of the machine that wrote it', options, async () => {
  for (const { name, text } of await everyStack(production)) {
    for (const folder of [process.cwd(), tmpdir(), homedir()]) {
      assert.ok(!text.includes(`${folder}/`), `${name} names ${folder}`)
    }
  }
})
