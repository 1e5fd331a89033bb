/** `nightjar filter`: try a filter on the nights that are stored, and let it run as a stream of its own. */
import { Command, Option } from 'commander'

import type { CloudGround } from '../cloud/ground.ts'
import { departuresOf } from '../control/selector/departures.ts'
import { selectorSql, type Dialect } from '../control/selector/sql.ts'
import { NightjarError } from '../core/errors.ts'
import { beginStage } from '../core/late-stage.ts'
import { datasetName, roleName, topicName, type Survey } from '../core/names.ts'
import { filterReadersOf, filterStages, type FilterStage } from '../core/pipeline.ts'
import type { Store } from '../core/ports.ts'
import type { Column } from '../core/row.ts'
import { alertFilter, type AlertFilter } from '../functions/filter/alert-filter.ts'
import { filterAccounts } from '../functions/filter/account.ts'
import { alertColumns } from '../functions/filter/columns.ts'
import { alertsWithFits } from '../functions/filter/fits.ts'
import { alertFields } from '../functions/filter/fields.ts'
import {
  addFilter,
  checkFilterName,
  listFilters,
  readFilter,
  removeFilter,
  type NamedFilter,
} from '../functions/filter/registry.ts'
import { openGround } from '../local/broker.ts'
import { describeTable } from '../local/describe.ts'
import { homeAt } from '../local/home.ts'
import { environmentOf, openCloud, withCloud, type CloudOptions } from './cloud.ts'
import { openHomeQueries } from './door.ts'
import { instanceOf, withHome, type HomeOptions } from './embedded.ts'
import { openPlace, type Place } from './place.ts'
import { defaultMaxBytes, parseBytes, toJson } from './query.ts'
import { formatBytes, formatCount, formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface TestOptions extends HomeOptions, CloudOptions {
  dryRun?: boolean
  maxBytes?: number
  since?: string
  list: number
  sql?: Dialect
  strict?: boolean
  json?: boolean
}

interface JsonOptions extends HomeOptions, CloudOptions {
  json?: boolean
}

/** Bytes of an alert without cutouts, schema and history in it, as most are. */
const alertBytes = 25_000

/** Pub/Sub's list price of throughput, US dollars a TiB, counted at publishing and at delivery. */
const dollarsPerTiB = 40

/** BigQuery's list price of what queries read, US dollars a TiB, on demand. */
const dollarsPerTiBRead = 6.25

/** The command. */
export function filterCommand(world: World): Command {
  const command = new Command('filter')
    .description(
      'Say in one language which alerts are wanted: try it on stored nights, let it run live.',
    )
    .addHelpText(
      'after',
      `
A filter is an SQL condition on the fields of an alert, by the survey's own names:
  rb > 0.65 AND magpsf < 18.5 AND NOT (ssdistnr >= 0 AND ssdistnr < 5)
  ndet >= 2 AND rise_rate > 0.1 AND cone(188.7, 12.4, 0.5)
  salt2_z < 0.05 AND salt2_before_maximum        (judges the fits of ztf_salt2, with their alerts)
It gives the same verdicts on stored nights and on the stream. docs/selectors.md has the whole language.

Examples:
  $ nightjar filter test 'rb > 0.65 AND cone(188.7, 12.4, 0.5)' --since 30d
  $ nightjar filter test 'salt2_z < 0.05 AND salt2_chi2dof < 2 AND rb > 0.65'
  $ nightjar filter add virgo 'rb > 0.65 AND cone(188.7, 12.4, 5)'
  $ nightjar subscribe ztf_filter_virgo`,
    )
  command.addCommand(testCommand(world))
  command.addCommand(addCommand(world))
  command.addCommand(listCommand(world))
  command.addCommand(showCommand(world))
  command.addCommand(removeCommand(world))
  return command
}

function testCommand(world: World): Command {
  const command = new Command('test')
    .description(
      'Try a filter on the alerts that are stored: how many a night, which, at what cost.',
    )
    .argument('<selector>', "such as 'rb > 0.65 AND ndet > 2'")
    .option('--since <when>', 'nights from then on: 30d, or a date such as 20261101')
    .option('--list <n>', 'how many of the newest alerts to list', Number, 20)
    .addOption(
      new Option('--sql <dialect>', 'print the condition for WHERE, and end').choices([
        'duckdb',
        'bigquery',
      ]),
    )
    .option('--dry-run', 'with --cloud: tell what it would cost, and end')
    .addOption(
      new Option(
        '--max-bytes <size>',
        'with --cloud: refuse what would be billed more, 10GB if absent',
      ).argParser(parseBytes),
    )
    .option('--strict', 'also tell where ActiveMQ or the JMS specification would say otherwise')
    .option('--json', 'print JSON')
  return withCloud(withHome(command, world)).action((text: string, options: TestOptions) =>
    test(world, text, options),
  )
}

function addCommand(world: World): Command {
  const command = new Command('add')
    .description(
      'Let a filter run: alerts from now on go to a topic of its name. Again: a new version.',
    )
    .argument('<name>', 'letters, digits, underscores')
    .argument('<selector>', "such as 'rb > 0.65 AND ndet > 2'")
  return withCloud(withHome(command, world))
    .addHelpText(
      'after',
      `
With --cloud it runs in the functions of an instance that was deployed with \`filters = true\`: it makes
the topic, and lets the function publish there. docs/deploy.md says what that costs.

Examples:
  $ nightjar filter add virgo 'rb > 0.65 AND cone(188.7, 12.4, 5)'
  $ nightjar filter add virgo 'rb > 0.8 AND cone(188.7, 12.4, 5)' --cloud --project my-project`,
    )
    .action((name: string, text: string, options: HomeOptions & CloudOptions) =>
      add(world, name, text, options),
    )
}

async function add(
  world: World,
  name: string,
  text: string,
  options: HomeOptions & CloudOptions,
): Promise<void> {
  checkFilterName(name)
  const at = options.cloud === true ? environmentOf(world, options).at : instanceOf(options)
  const made = alertFilter(text, at.survey)
  warn(world, made)
  const stage = made.onFits ? 'filter_fits' : 'filter'
  const ground =
    options.cloud === true
      ? await openCloud(world, environmentOf(world, options), options)
      : await openGround(options.home, at)
  try {
    // First what the alerts will wait in, then what has them judged.
    if ('hasReader' in ground) await prepareCloud(ground, name, stage)
    else {
      await ground.topic(`filter_${name}`)
      await ground.subscription(filterStages[stage], stage)
    }
    const files = await ground.bucket('broker_files')
    const filter = await addFilter(files, name, text, world.now())
    await beginStage(files, stage, world.now())
    const { version } = filter.versions.at(-1) ?? { version: 0 }
    world.out(`${name}, version ${version}, publishes on ${topicName(at, `filter_${name}`)}\n`)
    if (options.cloud === true) {
      const role = `projects/${at.project}/roles/${roleName(at, 'subscriber')}`
      world.err(`to let others attach subscriptions to it, grant them ${role} on the topic\n`)
    }
  } finally {
    await ground.close()
  }
}

/** Make the topic of a filter in an instance. Throws `config_invalid` where nothing would judge by it. */
async function prepareCloud(ground: CloudGround, name: string, stage: FilterStage): Promise<void> {
  const { survey } = ground.at
  const reader = filterReadersOf(survey).find(({ stages }) => stages.includes(stage))
  if (reader === undefined) {
    throw new NightjarError(
      'config_invalid',
      `Cannot add filter "${name}": ${survey} has no fits that it could judge`,
    )
  }
  if (!(await ground.hasReader(reader))) {
    throw new NightjarError(
      'config_invalid',
      `Cannot add filter "${name}" in project "${ground.at.project}": the instance was deployed without ` +
        'filters; set "filters = true" in its deployment and deploy it again',
    )
  }
  await ground.makeFilterTopic(name, reader)
}

function listCommand(world: World): Command {
  const command = new Command('list')
    .description('List the filters that run.')
    .option('--json', 'print JSON, removed filters among them')
  return withCloud(withHome(command, world)).action(async (options: JsonOptions) => {
    const filters = await withFiles(world, options, listFilters)
    if (options.json === true) return world.out(`${toJson(filters)}\n`)
    const live = filters.filter(({ removed }) => removed === undefined)
    if (live.length === 0) return world.err('no filters; "nightjar filter add" makes one\n')
    const rows = live.map(({ name, versions }) => {
      const last = versions.at(-1)
      return [
        name,
        String(last?.version ?? ''),
        last?.since.slice(0, 19) ?? '',
        last?.selector ?? '',
      ]
    })
    world.out(formatTable(['name', 'version', 'since', 'selector'], rows))
  })
}

function showCommand(world: World): Command {
  const command = new Command('show')
    .description(
      'Show a filter: its versions, and from the ledger what it has judged and selected.',
    )
    .argument('<name>')
    .option('--json', 'print JSON')
  return withCloud(withHome(command, world)).action(async (name: string, options: JsonOptions) => {
    const { filter, accounts } = await withFiles(world, options, async (files, { query }) => {
      const filter = await known(files, name)
      return { filter, accounts: await filterAccounts(query, files) }
    })
    const own = accounts.filter((account) => account.name === name)
    if (options.json === true) return world.out(`${toJson({ ...filter, accounts: own })}\n`)
    world.out(`${name}${filter.removed === undefined ? '' : `, removed ${filter.removed}`}\n`)
    for (const { version, since, selector } of filter.versions) {
      const account = own.find((one) => one.version === version)
      const [asked, selected] = [account?.asked ?? 0, account?.selected ?? 0].map(formatCount)
      world.out(
        `  ${version}  since ${since}  selected ${selected} of ${asked}\n     ${selector}\n`,
      )
    }
  })
}

function removeCommand(world: World): Command {
  const command = new Command('remove')
    .description('Stop a filter. Its topic, and its versions, stay.')
    .argument('<name>')
  return withCloud(withHome(command, world)).action(
    async (name: string, options: HomeOptions & CloudOptions) => {
      await withFiles(world, options, (files) => removeFilter(files, name, world.now()))
      world.out(`${name} is removed\n`)
    },
  )
}

async function test(world: World, text: string, options: TestOptions): Promise<void> {
  if (options.cloud !== true && (options.dryRun === true || options.maxBytes !== undefined)) {
    throw new NightjarError(
      'config_invalid',
      'Cannot bound a test here: --dry-run and --max-bytes are for --cloud, reading at home is free',
    )
  }
  const at = options.cloud === true ? environmentOf(world, options).at : instanceOf(options)
  const filter = alertFilter(text, at.survey)
  warn(world, filter)
  if (options.strict === true) strict(world, filter, at.survey)
  const shelf = options.cloud === true ? await cloudShelf(world, options) : await homeShelf(options)
  try {
    const columns = await shelf.columns()
    const where = (dialect: Dialect): string =>
      selectorSql(filter.selector, alertColumns(at.survey, columns, dialect), dialect)
    if (options.sql !== undefined) {
      if (filter.onFits) world.err(`note: a filter on fits is for FROM ${alertsWithFits}\n`)
      return world.out(`${where(options.sql)}\n`)
    }
    if (columns.length === 0) return world.err('no alerts are stored yet\n')
    const { dialect } = shelf
    const from = filter.onFits ? alertsWithFits : 'alerts'
    const since = sinceOf(options.since, world.now())
    const statements = statementsOf(dialect, from, where(dialect), since, options.list)
    if (shelf.bytesRead !== undefined) {
      let bytes = 0
      for (const sql of Object.values(statements)) bytes += await shelf.bytesRead(sql)
      const { maxBytes = defaultMaxBytes } = options
      const dollars = ((bytes / 2 ** 40) * dollarsPerTiBRead).toFixed(4)
      world.err(`BigQuery reads ${formatBytes(bytes)} for this, US$ ${dollars} (list price)\n`)
      if (options.dryRun === true) return
      if (bytes > maxBytes) {
        throw new NightjarError(
          'input_invalid',
          `Cannot try the filter: it would read ${formatBytes(bytes)}, and at most ` +
            `${formatBytes(maxBytes)} are allowed; try fewer nights by --since, or raise --max-bytes`,
        )
      }
    }
    print(world, text, await judge(shelf.query, statements), options)
  } finally {
    await shelf.close()
  }
}

/** Where alerts are stored: the warehouse of a home, or the data set of an instance. */
interface Shelf {
  dialect: Dialect
  query(sql: string): AsyncIterable<Record<string, unknown>>
  columns(): Promise<Column[]>
  /** What a statement reads, where that costs something. */
  bytesRead?(sql: string): Promise<number>
  close(): Promise<void>
}

async function homeShelf(options: HomeOptions): Promise<Shelf> {
  const at = instanceOf(options)
  const { query, close } = await openHomeQueries({ home: homeAt(options.home), at })
  const columns = (): Promise<Column[]> => describeTable(query, datasetName(at), 'alerts')
  return { dialect: 'duckdb', query, columns, close }
}

async function cloudShelf(world: World, options: TestOptions): Promise<Shelf> {
  const ground = await openCloud(world, environmentOf(world, options), options)
  const { bytesOf, columnsOf, query } = await ground.queries()
  const { maxBytes = defaultMaxBytes } = options
  return {
    dialect: 'bigquery',
    query: (sql) => query(sql, maxBytes),
    columns: () => columnsOf('alerts'),
    bytesRead: bytesOf,
    close: ground.close,
  }
}

interface Found {
  nights: { night: string; alerts: number; selected: number }[]
  alerts: { objectId: string; candid: string; night: string }[]
}

interface Statements {
  perNight: string
  which: string
}

function statementsOf(
  dialect: Dialect,
  from: string,
  where: string,
  since: string | undefined,
  list: number,
): Statements {
  const nights = since === undefined ? 'TRUE' : `obs_date >= DATE '${since}'`
  const night = `CAST(obs_date AS ${dialect === 'duckdb' ? 'VARCHAR' : 'STRING'}) AS night`
  const selected = dialect === 'duckdb' ? `COUNT(*) FILTER (WHERE ${where})` : `COUNTIF(${where})`
  const most = Math.max(0, Math.floor(list)) || 0
  return {
    perNight: `SELECT ${night}, COUNT(*) AS alerts, ${selected} AS selected
     FROM ${from} WHERE ${nights} GROUP BY 1 ORDER BY 1`,
    which: `SELECT objectId, candid, ${night} FROM ${from}
     WHERE ${nights} AND ${where} ORDER BY obs_date DESC, candid DESC LIMIT ${most}`,
  }
}

async function judge(query: Shelf['query'], { perNight, which }: Statements): Promise<Found> {
  const found: Found = { nights: [], alerts: [] }
  for await (const { night, alerts, selected } of query(perNight)) {
    found.nights.push({
      night: String(night ?? 'unknown'),
      alerts: Number(alerts),
      selected: Number(selected),
    })
  }
  for await (const { objectId, candid, night } of query(which)) {
    found.alerts.push({
      objectId: String(objectId),
      candid: String(candid),
      night: String(night ?? 'unknown'),
    })
  }
  return found
}

function print(world: World, selector: string, found: Found, options: TestOptions): void {
  const alerts = found.nights.reduce((sum, night) => sum + night.alerts, 0)
  const selected = found.nights.reduce((sum, night) => sum + night.selected, 0)
  const perNight = found.nights.length === 0 ? 0 : selected / found.nights.length
  const bytes = perNight * 30 * alertBytes
  // Published once and delivered to one reader.
  const dollars = ((2 * bytes) / 2 ** 40) * dollarsPerTiB
  const cost = {
    nights: 30,
    messages: Math.round(perNight * 30),
    bytes: Math.round(bytes),
    dollars,
  }
  if (options.json === true) {
    return world.out(`${toJson({ selector, judged: alerts, selected, ...found, month: cost })}\n`)
  }
  const rows = found.nights.map((night) => [
    night.night,
    formatCount(night.alerts),
    formatCount(night.selected),
    `${((100 * night.selected) / Math.max(1, night.alerts)).toFixed(2)}%`,
  ])
  world.out(formatTable(['night', 'alerts', 'selected', 'share'], rows))
  if (found.alerts.length > 0) {
    const lines = found.alerts.map((one) => [one.objectId, one.candid, one.night])
    world.out(`\n${formatTable(['objectId', 'candid', 'night'], lines)}`)
    if (selected > lines.length) world.out(`… and ${formatCount(selected - lines.length)} more\n`)
  }
  world.out(
    `\n${formatCount(selected)} of ${formatCount(alerts)} alerts. A month of 30 such nights: ` +
      `${formatCount(cost.messages)} messages, about ${formatBytes(bytes)}, ` +
      `US$ ${dollars.toFixed(2)} on Pub/Sub (list price) with one reader\n`,
  )
}

function warn(world: World, { strange }: AlertFilter): void {
  for (const { name, meant } of strange) {
    const hint = meant === undefined ? '' : `; "${meant}" is one`
    world.err(`note: no alert has a field "${name}", so it is NULL everywhere${hint}\n`)
  }
}

function strict(world: World, { selector }: AlertFilter, survey: Survey): void {
  const fields = alertFields(survey)
  const departures = departuresOf(selector, (name) => {
    const kind = fields.get(name)?.kind
    return kind === undefined ? {} : { kind }
  })
  for (const { rule, says, at } of departures) {
    world.err(`strict: column ${at + 1}: ${says} (${rule})\n`)
  }
}

/** `30d` or a date, as `YYYY-MM-DD`. */
function sinceOf(text: string | undefined, now: Date): string | undefined {
  if (text === undefined) return undefined
  const days = /^(\d{1,5})d$/.exec(text)?.[1]
  const date =
    days === undefined
      ? new Date(`${text.replace(/^(\d{4})-?(\d{2})-?(\d{2})$/, '$1-$2-$3')}T00:00:00Z`)
      : new Date(now.getTime() - Number(days) * 86_400_000)
  if (!Number.isNaN(date.getTime())) return date.toISOString().slice(0, 10)
  throw new NightjarError(
    'config_invalid',
    `Cannot take nights since "${text}": write a number of days, 30d, or a date, 20261101`,
  )
}

async function known(store: Store, name: string): Promise<NamedFilter> {
  const filter = await readFilter(store, checkFilterName(name))
  if (filter !== undefined) return filter
  throw new NightjarError('config_invalid', `Cannot show filter "${name}": there never was one`)
}

/** Work on the broker files of a home, or of an instance. */
async function withFiles<T>(
  world: World,
  options: HomeOptions & CloudOptions,
  work: (files: Store, place: Place) => Promise<T>,
): Promise<T> {
  const place = await openPlace(world, options)
  try {
    return await work(await place.ground.bucket('broker_files'), place)
  } finally {
    await place.close()
  }
}
