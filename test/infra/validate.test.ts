/** `make validate`: what is not at hand is told and no fault; what is wrong is one. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { repository } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-validate-'))
after(() => rmSync(dir, { recursive: true }))

// Not a peer of ours: whoever deploys has it, and a machine that only tests need not.
const skip = spawnSync('terraform', ['version']).error !== undefined && 'terraform is not here'

// No provider is to be had, whatever this machine could reach.
const cli = join(dir, 'terraformrc')
writeFileSync(cli, `provider_installation {\n  filesystem_mirror { path = "${dir}/none" }\n}\n`)
mkdirSync(join(dir, 'none'))

function validate(name: string, stack: unknown, env: Record<string, string> = {}) {
  const stacks = join(dir, name)
  if (stack !== undefined) {
    mkdirSync(join(stacks, 'one'), { recursive: true })
    writeFileSync(join(stacks, 'one/cdk.tf.json'), JSON.stringify(stack))
  }
  const { stdout, stderr, status } = spawnSync('bash', ['infra/validate.sh', stacks], {
    cwd: repository,
    encoding: 'utf8',
    env: { ...process.env, TF_CLI_CONFIG_FILE: cli, ...env },
  })
  return { said: stdout + stderr, status }
}

/** A resource that terraform brings itself. */
const builtIn = (fields: object) => ({ resource: { terraform_data: { one: fields } } })

test('a stack that is well is told to be', { skip }, () => {
  const { said, status } = validate('well', builtIn({ input: 'x' }))
  assert.equal(status, 0, said)
  assert.match(said, /^validate: one: well, says Terraform v/m)
})

test('a wrong argument and a reference to nothing are faults', { skip }, () => {
  for (const fields of [{ inptu: 'x' }, { input: '${terraform_data.two.id}' }]) {
    const { said, status } = validate('wrong', builtIn(fields))
    assert.equal(status, 1, said)
    assert.match(said, /not well[\s\S]*(inptu|terraform_data\.two|terraform_data" "two")/)
  }
})

test('a file that is no configuration is a fault, with a provider or without', { skip }, () => {
  const { said, status } = validate('broken', { resource: { a: 'b' }, terraform: 3 })
  assert.equal(status, 1, said)
})

test('a provider that is not at hand is named, and is no fault', { skip }, () => {
  const google = { source: 'hashicorp/google', version: '6.50.0' }
  const { said, status } = validate('absent', {
    terraform: { required_providers: { google } },
    provider: { google: [{}] },
  })
  assert.equal(status, 0, said)
  assert.match(
    said,
    /one: read, but not checked: its provider \(hashicorp\/google\) is not at hand/,
  )
})

test('without terraform and tofu nothing is checked, and that is said', () => {
  const path = join(dir, 'bin')
  mkdirSync(path)
  // Only what the script itself needs.
  for (const tool of ['bash', 'dirname']) {
    const { stdout } = spawnSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' })
    symlinkSync(stdout.trim(), join(path, tool))
  }
  const { said, status } = validate('none', builtIn({}), { PATH: path })
  assert.equal(status, 0, said)
  assert.match(said, /neither terraform nor tofu is on the PATH: nothing was checked/)
})

test('without a stack it says what to do', { skip }, () => {
  const { said, status } = validate('empty', undefined)
  assert.equal(status, 1)
  assert.match(said, /run "make synth" first/)
})
