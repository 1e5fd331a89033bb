/**
 * Write the stacks as `cdktf.out/stacks/<name>/cdk.tf.json`, for cdktf, terraform or tofu.
 *
 *     NIGHTJAR_DEPLOYMENT=my.toml node infra/main.ts
 */
import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'

import { parse } from 'smol-toml'

import { sentenceOf } from '../core/errors.ts'
import { bundlesIn } from './bundles.ts'
import { checkConfig } from './config.ts'
import { synthesise } from './synth.ts'

try {
  const file = process.env['NIGHTJAR_DEPLOYMENT'] ?? resolve(import.meta.dirname, 'example.toml')
  const config = checkConfig(parse(readFileSync(file, 'utf8')), process.env)
  const root = resolve(import.meta.dirname, '..')
  const bundles = bundlesIn(resolve(root, 'dist/functions'))
  const outdir = resolve(import.meta.dirname, 'cdktf.out')
  for (const { path } of synthesise(config, bundles, outdir)) {
    console.log(relative(root, path))
  }
} catch (error) {
  console.error(`nightjar: ${sentenceOf(error)}`)
  process.exitCode = 1
}
