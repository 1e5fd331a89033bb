/**
 * Selectors on the fields of decoded alerts: against ActiveMQ's evaluator, in the same run, and against the
 * predicate that a person would write; then a thousand live filters on whole packets. `make bench`.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

import { compileSelector } from '../control/selector/compile.ts'
import { parseSelector } from '../control/selector/parser.ts'
import { alertFilter } from '../functions/filter/alert-filter.ts'
import { alertVocabulary } from '../functions/filter/fields.ts'
import { alertView, type AlertView } from '../functions/filter/view.ts'
import { projectAlert, readAlertWithoutCutouts } from '../schemas/alert.ts'
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

const filters = Array.from({ length: 1000 }, (_, n) => {
  const cone = n % 4 === 0 ? ` AND cone(${n % 360}, ${(n % 120) - 30}, 2)` : ''
  const history = n % 5 === 0 ? ` AND ndet > ${n % 7}` : ''
  return alertFilter(
    `rb > ${(n % 100) / 100} AND magpsf < ${15 + (n % 50) / 10}${cone}${history}`,
    'ztf',
  )
})
let selected = 0
const started = performance.now()
for (const packet of packets) {
  const view = viewOf(packet)
  for (const { selects } of filters) if (selects(view)) selected++
}
const seconds = (performance.now() - started) / 1000
console.log(
  `1,000 live filters: ${(packets.length / seconds).toFixed(0)} alerts/s, decoding included ` +
    `(${(selected / packets.length).toFixed(0)} select each)`,
)

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
