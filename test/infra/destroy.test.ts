/**
 * Terraform itself on the guards of the stack: each resource as one that Terraform brings itself, with the
 * life cycle that it has, made and then destroyed.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { production, skipWithoutPackages, synthesised, type Fields } from './stacks.ts'

// Not a peer of ours: whoever deploys has it, and a machine that only tests need not.
const without = spawnSync('terraform', ['version']).error !== undefined && 'terraform is not here'
const skip = skipWithoutPackages || without

async function destroyed(
  config: typeof production,
): Promise<{ said: string; status: number | null }> {
  const { all } = await synthesised(config)
  // Grants and the like would only take time.
  const kinds = /^google_(pubsub_topic|storage_bucket|bigquery_table|cloudfunctions2_function)$/
  const guards = all
    .filter(({ type }) => kinds.test(type))
    .map(({ address, fields }) => {
      const { prevent_destroy: guarded = false } = (fields['lifecycle'] ?? {}) as Fields
      return [address.replace('.', '-'), { lifecycle: { prevent_destroy: guarded } }] as const
    })
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-destroy-'))
  try {
    const stack = { resource: { terraform_data: Object.fromEntries(guards) } }
    writeFileSync(join(folder, 'cdk.tf.json'), JSON.stringify(stack))
    const terraform = (...words: string[]) =>
      spawnSync('terraform', [`-chdir=${folder}`, ...words, '-no-color', '-input=false'], {
        encoding: 'utf8',
        maxBuffer: 64e6,
        env: { ...process.env, CHECKPOINT_DISABLE: '1', TF_IN_AUTOMATION: '1' },
      })
    assert.equal(terraform('init').status, 0)
    const made = terraform('apply', '-auto-approve')
    assert.equal(made.status, 0, made.stderr)
    const { stdout, stderr, status } = terraform('destroy', '-auto-approve')
    return { said: stdout + stderr, status }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('destroy of production fails as a whole and removes nothing', { skip }, async () => {
  const { said, status } = await destroyed(production)
  assert.equal(status, 1)
  assert.match(said, /Instance cannot be destroyed/)
  assert.doesNotMatch(said, /Destroy complete|Destruction complete/)
})

test('destroy of a test instance removes it whole', { skip }, async () => {
  const { said, status } = await destroyed({ ...production, instance: 'rc1' })
  assert.equal(status, 0, said)
  assert.match(said, /Destroy complete! Resources: \d+ destroyed/)
})
