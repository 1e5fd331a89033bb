/**
 * Selectors on the fields of decoded alerts: against ActiveMQ's evaluator, in the same run, and against the
 * predicate that a person would write; then a thousand live filters as the stage that a broker runs. `make bench`.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { compileSelector } from '../control/selector/compile.ts'
import { parseSelector } from '../control/selector/parser.ts'
import { kafkaAttributes } from '../core/alert.ts'
import { alertFilter } from '../functions/filter/alert-filter.ts'
import { alertVocabulary } from '../functions/filter/fields.ts'
import { createFilter } from '../functions/filter/filter.ts'
import { addFilter } from '../functions/filter/registry.ts'
import { alertView, type AlertView } from '../functions/filter/view.ts'
import { createStage } from '../functions/stage.ts'
import { openGround } from '../local/broker.ts'
import { projectAlert, readAlertWithoutCutouts } from '../schemas/alert.ts'
import { bundledSchemas } from '../schemas/registry.ts'
import { simulateNight } from '../simulator/night.ts'
import { peersDir } from '../test/data.ts'

const repeats = 5
const selector =
  "rb > 0.65 AND nbad = 0 AND magpsf BETWEEN 15 AND 19.5 AND isdiffpos IN ('t', '1') " +
  'AND NOT (distpsnr1 <= 1.5 AND sgscore1 >= 0.5)'

/** What a person would write who knows that every field is there. */
function byHand({ main }: AlertView): boolean {
  const { rb, nbad, magpsf, isdiffpos, distpsnr1, sgscore1 } = main as Record<
    string,
    number | string
  >
  return (
    Number(rb) > 0.65 &&
    nbad === 0 &&
    Number(magpsf) >= 15 &&
    Number(magpsf) <= 19.5 &&
    (isdiffpos === 't' || isdiffpos === '1') &&
    !(Number(distpsnr1) <= 1.5 && Number(sgscore1) >= 0.5)
  )
}

const packets: Uint8Array[] = []
const night = { night: '20261121', alerts: 1000, seed: 1, partitions: 1, duplicates: 0, late: 0 }
for (const { data } of simulateNight({ ...night, corrupt: 0, oldSchemas: 0, gaps: 0 })) {
  if (data) packets.push(data)
}
const viewOf = (packet: Uint8Array): AlertView =>
  alertView(readAlertWithoutCutouts(packet).record, projectAlert(packet))
const views = packets.map(viewOf)

const ours = compileSelector(parseSelector(selector), alertVocabulary('ztf'))
const rows: [string, number][] = [
  ['by hand, JavaScript', best(byHand)],
  ['selector, compiled', best(ours.selects)],
]
const activemq = resolve(peersDir, 'activemq')
if (existsSync(activemq)) {
  const classpath = `${activemq}/classes:${activemq}/libs/*`
  const said = execFileSync('java', ['-cp', classpath, 'Verdicts', 'bench', '2', selector])
  rows.push(['ActiveMQ 5.17.2', Number(said.toString().split(' ')[0])])
}
const [hand = 1] = rows.map(([, rate]) => rate)
for (const [what, rate] of rows) {
  console.log(
    `${what.padEnd(24)} ${(rate / 1e6).toFixed(2).padStart(8)} M evaluations/s  ${(hand / rate).toFixed(2)} × by hand`,
  )
}

const selectors = Array.from({ length: 1000 }, (_, n) => {
  const cone = n % 4 === 0 ? ` AND cone(${n % 360}, ${(n % 120) - 30}, 2)` : ''
  const history = n % 5 === 0 ? ` AND ndet > ${n % 7}` : ''
  return `rb > ${(n % 100) / 100} AND magpsf < ${15.5 + (n % 50) / 50}${cone}${history}`
})
const filters = selectors.map((text) => alertFilter(text, 'ztf'))
for (let round = 0; round < 3; round++) {
  const { cpu } = timed(() => {
    for (const view of views) for (const { selects } of filters) selects(view)
  })
  if (round < 2) continue
  console.log(
    `1,000 filters on a decoded alert: ${((cpu / views.length) * 1e6).toFixed(0)} µs of CPU`,
  )
}
for (const count of [0, 1000]) console.log(await live(selectors.slice(0, count)))
process.exit(0)

/**
 * The whole stage on one machine, as a broker runs it: packets decoded, judged, what is selected published
 * and the ledger told, all of it durable.
 */
async function live(texts: readonly string[]): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'nightjar-bench-'))
  const ground = await openGround(home, { survey: 'ztf', project: 'local' })
  const store = await ground.bucket('broker_files')
  for (const [n, text] of texts.entries()) await addFilter(store, `f${n}`, text, new Date())
  const stage = 'filter'
  const archive = () => ground.bucket('alert_avro_bucket')
  const { topic } = ground
  const schemas = bundledSchemas()
  const onDelivery = createStage({
    stage,
    handle: createFilter({ stage, survey: 'ztf', store, archive, topic, schemas }),
    ledger: await topic('ledger'),
    deadLetters: await topic('dead_letter'),
    claims: store,
    log: () => {},
  })
  let published = 0
  const judge = async (from: number, to: number): Promise<void> => {
    let next = from
    const work = async (): Promise<void> => {
      while (next < to) {
        const offset = next++
        const attributes = {
          [kafkaAttributes.topic]: 'ztf_20261121_programid1',
          [kafkaAttributes.partition]: '0',
          [kafkaAttributes.offset]: String(offset),
        }
        const data = packets[offset % packets.length] ?? new Uint8Array()
        const delivery = { id: String(offset), publishedAt: new Date(), attempt: 1 }
        const { outcome } = await onDelivery({ ...delivery, data, attributes })
        if (outcome === 'published') published++
      }
    }
    await Promise.all(Array.from({ length: 64 }, work))
  }
  await judge(0, 500)
  const [cpu, begin] = [process.cpuUsage(), performance.now()]
  const measured = 2000
  await judge(500, 500 + measured)
  const seconds = (performance.now() - begin) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await ground.close()
  rmSync(home, { recursive: true })
  return (
    `stage with ${String(texts.length).padStart(4)} live filters: ` +
    `${((user + system) / measured / 1000).toFixed(2)} ms of CPU an alert, ` +
    `${(measured / seconds).toFixed(0)} alerts/s (${published} of ${500 + measured} published)`
  )
}

function timed(work: () => void): { cpu: number } {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return { cpu: (user + system) / 1e6 }
}

/** Evaluations a second, the best of some rounds. */
function best(selects: (view: AlertView) => boolean): number {
  let rate = 0
  for (let round = 0; round < repeats; round++) {
    const begin = performance.now()
    let count = 0
    let matched = 0
    while (performance.now() - begin < 400) {
      for (const view of views) if (selects(view)) matched++
      count += views.length
    }
    rate = Math.max(rate, count / ((performance.now() - begin) / 1000))
    if (matched < 0) throw new Error('never')
  }
  return rate
}
