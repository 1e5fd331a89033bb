/** `nightjar cost`: what a night costs in the cloud, by list prices. */
import { Command, Option } from 'commander'

import { NightjarError } from '../core/errors.ts'
import { parseSurvey, surveys } from '../core/names.ts'
import { assumed, billOf, keptOf, places, type Line, type Place } from './bill.ts'
import { positive } from './embedded.ts'
import { measured } from './measured.ts'
import { prices, pricesOf } from './prices.ts'
import { formatCount, formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface CostOptions {
  alerts: number
  survey: string
  stagesOn: Place
  json?: boolean
}

/**
 * Dollars that the original published for a million alerts, August to December 2021: Pub/Sub 16.03,
 * Cloud Storage 9.82, Cloud Functions 10.55, Dataflow 8.82, Compute Engine 5.31, BigQuery 0.40.
 */
const originalPerMillion = 50.9

/** The command. */
export function costCommand(world: World): Command {
  return new Command('cost')
    .description('Reckon what a night costs in Google Cloud, stage by stage, by list prices.')
    .option('--alerts <n>', 'alerts of the night', positive('alerts'), 300_000)
    .addOption(new Option('--survey <name>', 'whose alerts').choices(surveys).default('ztf'))
    .addOption(
      new Option(
        '--stages-on <place>',
        'functions, or the machine of the consumer by "run --cloud"',
      )
        .choices(places)
        .default('functions'),
    )
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Nothing is asked of Google: prices are those of a day, free tiers are left out, and what is kept by
the month stands apart. docs/cost.md says where each number is from.

Examples:
  $ nightjar cost --alerts 300000 --survey ztf
  $ nightjar cost --alerts 300000 --stages-on machine
  $ nightjar cost --alerts 10000000 --survey lsst --json`,
    )
    .action((options: CostOptions) => cost(world, options))
}

function cost(world: World, options: CostOptions): void {
  const survey = parseSurvey(options.survey)
  const { alerts, stagesOn } = options
  if (alerts > 1e9) {
    throw new NightjarError(
      'config_invalid',
      `Cannot reckon with ${alerts} alerts: a night has a billion at most`,
    )
  }
  const lines = billOf(survey, alerts, stagesOn)
  const total = sum(lines)
  const perMillion = (total / alerts) * 1e6
  const kept = keptOf(survey, alerts)
  const share = perMillion / originalPerMillion
  if (options.json === true) {
    const answer = {
      survey,
      alerts,
      stagesOn,
      total,
      perMillion,
      originalPerMillion,
      share,
      lines,
      kept,
    }
    const more = { prices, pricesOf, assumed: assumed[survey], measured }
    world.out(`${JSON.stringify({ ...answer, ...more }, null, 2)}\n`)
    return
  }
  const names = [...new Set(lines.map(({ stage }) => stage))]
  const rows = names.flatMap((stage) => {
    const own = lines.filter((line) => line.stage === stage)
    const head = [stage, '', dollars(sum(own)), dollars((sum(own) / alerts) * 1e6)]
    return [head, ...own.map(rowOf)]
  })
  function rowOf({ item, quantity, unit, dollars: amount }: Line): string[] {
    const much = `${quantity >= 100 ? formatCount(Math.round(quantity)) : quantity.toPrecision(3)} ${unit}`
    return [`  ${item}`, much.trim(), dollars(amount), dollars((amount / alerts) * 1e6)]
  }
  rows.push(['all', '', dollars(total), dollars(perMillion)])
  world.out(`${formatCount(alerts)} alerts of ${survey}, list prices of ${pricesOf}\n\n`)
  world.out(formatTable(['', '', 'US$', 'US$ a million'], rows))
  const monthly = kept.map(({ item, dollars: amount }) => `${item} ${dollars(amount)}`).join(', ')
  world.out(`\nKept by the month: ${monthly}\n`)
  world.out(
    `The original published ${originalPerMillion} US$ a million for ZTF: this is ` +
      `${(100 * share).toFixed(0)} % of it\n`,
  )
  if (survey !== 'ztf') world.out(`Computing is that of an alert of ZTF: LSST's is not measured\n`)
}

const sum = (lines: readonly { dollars: number }[]): number =>
  lines.reduce((all, line) => all + line.dollars, 0)

const dollars = (amount: number): string => amount.toFixed(amount < 0.1 ? 3 : 2)
