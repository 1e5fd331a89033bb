/**
 * What the stack has is made at Google's emulators, and a night runs through it: pushed to the functions
 * by the subscriptions of the stack, with the bundles and the environment that the stack gives them.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'

import { openDatasets } from '../../cloud/datasets.ts'
import { openTable } from '../../cloud/table.ts'
import type { CloseRecord } from '../../conductor/close.ts'
import { datasetName, functionName, subscriptionName, type Instance } from '../../core/names.ts'
import type { AnyReader } from '../../core/pipeline.ts'
import type { Table } from '../../core/ports.ts'
import { bundleReader } from '../../functions/bundle.ts'
import {
  freePort,
  skipWithoutBigquery,
  skipWithoutGcs,
  skipWithoutPubsub,
  startBigquery,
  startGcs,
  startPubsub,
} from '../cloud/emulators.ts'
import { everyReaderOf } from '../../infra/context.ts'
import { checkLetters, verify } from '../cloud/truth.ts'
import { makeNight, repository, runHere, startNightjar, startProgram } from '../night/harness.ts'
import { apply } from './apply/apply.ts'
import { resourcesInOrder, type Fields } from './apply/blueprint.ts'
import { inert } from './apply/beyond.ts'
import { production, skipWithoutPackages } from './stacks.ts'

const skip = skipWithoutPackages || skipWithoutPubsub || skipWithoutGcs || skipWithoutBigquery
const alerts = Number(process.env['NIGHTJAR_NIGHT_ALERTS'] ?? 200)
const config = { ...production, project: 'applied', instance: 'rc1' }
const at: Instance = { survey: 'ztf', project: config.project, instance: config.instance }

/** All that there are: the other survey has no more. */
const readers = everyReaderOf(at.survey, config)

// Below the repository, since what is not bundled is found in its packages.
mkdirSync(join(repository, '.nightjar'), { recursive: true })
const dir = mkdtempSync(join(repository, '.nightjar/applied-'))
after(() => rmSync(dir, { recursive: true, force: true }))

/** The stack as `make synth` writes it, of bundles as `make bundle` makes them. */
async function synthesised(): Promise<{ path: string; text: string }> {
  for (const { name } of readers) await bundleReader(name, dir)
  // There is no emulator of machines, so nothing runs their program.
  writeFileSync(join(dir, `nightjar-${'0'.repeat(64)}.tar.gz`), '')
  // Nor is there one of schedules, so nothing calls the conductor.
  writeFileSync(join(dir, `conductor-${'0'.repeat(16)}.zip`), '')
  const [{ synthesise }, { bundlesIn }] = await Promise.all([
    import('../../infra/synth.ts'),
    import('../../infra/bundles.ts'),
  ])
  const [, instance] = synthesise(config, bundlesIn(dir, dir), join(dir, 'out'))
  assert.ok(instance)
  return instance
}

/** The variables that the stack gives a function. */
function environmentOf(text: string, name: string): Record<string, string> {
  const found = resourcesInOrder(text).find(
    ({ type, fields }) => type === 'google_cloudfunctions2_function' && fields['name'] === name,
  )
  const service = found?.fields['service_config'] as Fields | undefined
  return service?.['environment_variables'] as Record<string, string>
}

/** What a table function is asked with. */
const asked: Readonly<Record<string, string>> = {
  ra_deg: '150e0',
  dec_deg: '2e0',
  radius_deg: '180e0',
  object_id: "'none'",
}

/**
 * Ask the table functions of the stack. bqemulator has none over a view, so each body is run as a query,
 * and it knows functions by their data set alone.
 */
async function askFunctions(text: string, table: Table): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const { type, fields } of resourcesInOrder(text)) {
    const { routine_id: name, routine_type: kind, definition_body: body } = fields
    if (type !== 'google_bigquery_routine' || kind !== 'TABLE_VALUED_FUNCTION') continue
    if (!String(body).includes(`\`${at.project}.${datasetName(at)}\``)) continue
    const query = Object.entries(asked).reduce(
      (sql, [parameter, value]) => sql.replaceAll(new RegExp(`\\b${parameter}\\b`, 'g'), value),
      String(body).replaceAll(`\`${at.project}.`, '`'),
    )
    for await (const row of table.query(`SELECT COUNT(*) AS n FROM (${query})`)) {
      found[String(name)] = Number(row['n'])
    }
  }
  return found
}

/** Names of the objects that a bucket announced on its topic, as many as there must be. */
async function announced(pubsub: string, count: number): Promise<string[]> {
  const names = new Set<string>()
  const subscription = subscriptionName(at, 'alert_avro_bucket', 'counter')
  const url = `http://${pubsub}/v1/projects/${at.project}/subscriptions/${subscription}:pull`
  for (let tries = 0; tries < 100 && names.size < count; tries++) {
    const body = JSON.stringify({ maxMessages: 1000 })
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(url, { method: 'POST', headers, body })
    const { receivedMessages = [] } = (await response.json()) as {
      receivedMessages?: { message: { attributes: Record<string, string> } }[]
    }
    for (const { message } of receivedMessages) names.add(message.attributes['objectId'] ?? '')
  }
  return [...names]
}

test('a night runs through what the stack makes, and is proven complete', { skip }, async (t) => {
  const stack = await synthesised()
  const pubsub = await startPubsub(1024)
  const gcs = await startGcs({ pubsub: pubsub.host })
  const bigquery = await startBigquery()
  const env = {
    GOOGLE_CLOUD_PROJECT: at.project,
    NIGHTJAR_SURVEY: at.survey,
    NIGHTJAR_INSTANCE: at.instance ?? '',
    PUBSUB_EMULATOR_HOST: pubsub.host,
    STORAGE_EMULATOR_HOST: gcs.host,
    BIGQUERY_EMULATOR_HOST: bigquery.host,
    BIGQUERY_STORAGE_EMULATOR_HOST: bigquery.grpc,
  }
  const ports = new Map<string, number>()
  for (const { name } of readers) ports.set(functionName(at, name), await freePort())
  const functions: ReturnType<typeof startProgram>[] = []
  try {
    const applied = await apply({
      ...{ text: stack.text, folder: dirname(stack.path), project: at.project },
      hosts: { pubsub: pubsub.host, gcs: gcs.host, bigquery: bigquery.host },
      // The other survey's are asked for nothing this night.
      uriOf: (name) => `http://127.0.0.1:${ports.get(name) ?? 9}`,
    })
    t.diagnostic(`made: ${applied.made.length} resources`)
    for (const [reason, these] of Map.groupBy(applied.beyond, (one) => one.reason)) {
      const kinds = [...new Set(these.map(({ address }) => address.split('.')[0]))].join(', ')
      t.diagnostic(`not made: ${these.length} (${kinds}): ${reason}`)
    }
    for (const argument of applied.forgotten) t.diagnostic(`taken and forgotten: ${argument}`)
    for (const thing of inert) t.diagnostic(`kept and without effect: ${thing}`)

    const doctor = await runHere(['doctor', '--json'], { env })
    assert.equal(doctor.status, 0, doctor.out)

    const emulator = { rest: bigquery.host, grpc: bigquery.grpc }
    const datasets = openDatasets({ project: at.project, emulator })
    const table = await openTable({ datasets, dataset: datasetName(at) })
    const nothing = { cone_search: 0, latest_per_object: 0, light_curve: 0 }
    assert.deepEqual(await askFunctions(stack.text, table), nothing, 'before the first alert')

    for (const { name: reader } of readers) {
      const name = functionName(at, reader)
      const own = environmentOf(stack.text, name)
      functions.push(serve(reader, ports.get(name) ?? 0, { ...own, ...env }))
    }
    for (const served of functions) await served.until(/Serving function/)

    const added = await runHere(['filter', 'add', 'bright', 'magpsf < 19', '--cloud'], { env })
    assert.equal(added.status, 0, added.err)
    const night = makeNight(join(dir, 'night'), { alerts })
    const words = ['run', '--cloud', '--stages', 'none', '--from', night.from, '--once', '--json']
    const { out, err, status } = await startNightjar(words, { env }).ended
    const said = functions.map((served) => served.said().out.slice(-1000)).join('\n')
    assert.equal(status, 0, `${out}${err.slice(-2000)}${said}`)
    const { nights } = JSON.parse(out) as { nights: CloseRecord[] }
    assert.equal(nights[0]?.state, 'complete')
    const [bright] = nights[0]?.filters ?? []
    assert.ok(bright && bright.selected > 0 && bright.selected < bright.asked, 'it was judged by')

    const intact = night.truths.filter(({ kind }) => kind !== 'gap' && !kind.startsWith('corrupt:'))
    const objects = new Set(intact.map(({ objectId }) => objectId))
    const candids = new Set(intact.map(({ objectId, candid }) => `${objectId} ${candid}`))
    const found = await askFunctions(stack.text, table)
    assert.equal(found['cone_search'], candids.size, 'a cone of all sky has every alert')
    assert.equal(found['latest_per_object'], objects.size)
    assert.equal((await announced(pubsub.host, candids.size)).length, candids.size, 'each object')
    await verify(env, night, table, ['archive', 'warehouse', 'exgalac', 'filter'])
    await checkLetters(env, night)
    await datasets.close()
  } finally {
    for (const { child, ended } of functions) {
      child.kill('SIGTERM')
      await ended
    }
    for (const emulator of [pubsub, gcs, bigquery]) await emulator.kill()
  }
})

function serve(reader: AnyReader['name'], port: number, env: Record<string, string>) {
  const framework = join(repository, 'node_modules/.bin/functions-framework')
  const node = join(repository, 'node_modules/.bin/node')
  const words = [framework, `--source=${join(dir, reader)}`, `--target=${reader}`, `--port=${port}`]
  return startProgram(node, words, { env })
}
