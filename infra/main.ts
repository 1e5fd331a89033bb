/**
 * Write the stacks as `cdktf.out/stacks/<name>/cdk.tf.json`, for cdktf, terraform or tofu, and say what they
 * will make and what a night of it will cost.
 *
 *     NIGHTJAR_DEPLOYMENT=my.toml node infra/main.ts
 */
import { readFileSync } from 'node:fs'
import { dirname, relative, resolve } from 'node:path'

import { parse } from 'smol-toml'

import { billOf, keptOf } from '../cli/bill.ts'
import { prices, pricesOf } from '../cli/prices.ts'
import { formatCount } from '../cli/text-table.ts'
import { sentenceOf } from '../core/errors.ts'
import type { Survey } from '../core/names.ts'
import { bundlesIn } from './bundles.ts'
import { conductorMemory } from './conductor.ts'
import { checkConfig, type InfraConfig } from './config.ts'
import { everyReaderOf } from './context.ts'
import { formatStack } from './summary.ts'
import { synthesise } from './synth.ts'

/** Alerts of a night as it mostly is: ZTF's public stream, and LSST's as announced. */
const mostNights: Readonly<Record<Survey, number>> = { ztf: 300_000, lsst: 10_000_000 }

try {
  const file = process.env['NIGHTJAR_DEPLOYMENT'] ?? resolve(import.meta.dirname, 'example.toml')
  const told = checkConfig(parse(readFileSync(file, 'utf8')), process.env)
  const config = { ...told, streams: resolve(dirname(file), told.streams) }
  const root = resolve(import.meta.dirname, '..')
  const bundles = bundlesIn(resolve(root, 'dist/functions'), resolve(root, 'dist/machines'))
  const outdir = resolve(import.meta.dirname, 'cdktf.out')
  const stacks = synthesise(config, bundles, outdir)
  const { project, region, instance = 'production', surveys } = config
  console.log(
    `${project} in ${region}: ${instance}, ${surveys.join(' and ')}; from ${relative(process.cwd(), file)}\n`,
  )
  for (const stack of stacks) console.log(formatStack(stack))
  console.log(formatCost(config))
  for (const { path } of stacks) console.log(relative(root, path))
} catch (error) {
  console.error(`nightjar: ${sentenceOf(error)}`)
  process.exitCode = 1
}

/** A night of each survey by list prices, and what a flood could cost. */
function formatCost(config: InfraConfig): string {
  const { surveys, maxInstances, conductor } = config
  const lines = [`A night, by list prices of ${pricesOf}; "nightjar cost" says what for:`]
  for (const survey of surveys) {
    const alerts = mostNights[survey]
    const night = sum(billOf(survey, alerts))
    const month = sum(keptOf(survey, alerts))
    lines.push(
      `  ${survey}: ${formatCount(alerts)} alerts, ${night.toFixed(2)} US$, ` +
        `and ${month.toFixed(2)} US$ for each month that it is kept`,
    )
  }
  const readers = surveys.flatMap((survey) => everyReaderOf(survey, config))
  const conductors = surveys.filter((survey) => conductor[survey] === 'function').length
  const hour =
    readers.reduce((dollars, { memory }) => dollars + maxInstances * hourOf(memory), 0) +
    conductors * hourOf(conductorMemory)
  const one = conductors === 0 ? '' : ', one of a conductor’s'
  lines.push(
    `  At most ${maxInstances} instances of each function${one}: computing cannot cost more than ` +
      `${hour.toFixed(2)} US$ an hour`,
  )
  return `${lines.join('\n')}\n`
}

/** An instance that computes for a whole hour. */
function hourOf(memory: string): number {
  const gib = Number.parseInt(memory) / (memory.endsWith('Gi') ? 1 : 1024)
  return 3600 * (prices.cpu.dollars + gib * prices.memory.dollars)
}

function sum(lines: readonly { dollars: number }[]): number {
  return lines.reduce((all, { dollars }) => all + dollars, 0)
}
