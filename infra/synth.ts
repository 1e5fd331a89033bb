/** From a configuration to Terraform's JSON. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { App } from 'cdktf'

import { createBootstrap } from './bootstrap.ts'
import type { Bundles } from './bundles.ts'
import type { InfraConfig } from './config.ts'
import { createStack } from './stack.ts'

export interface Synthesised {
  name: string
  /** The file that cdktf, terraform and tofu read. */
  path: string
  text: string
}

/** Write the bootstrap and the instance below a folder. */
export function synthesise(config: InfraConfig, bundles: Bundles, outdir: string): Synthesised[] {
  const app = new App({ outdir })
  const stacks = [createBootstrap(app, config), createStack(app, config, bundles)]
  app.synth()
  return stacks.map(({ node }) => {
    const path = join(outdir, 'stacks', node.id, 'cdk.tf.json')
    return { name: node.id, path, text: readFileSync(path, 'utf8') }
  })
}
