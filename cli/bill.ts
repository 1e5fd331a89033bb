/** What a night costs in the cloud, stage by stage, from the pipeline's own table and list prices. */
import type { Survey } from '../core/names.ts'
import { stages, stagesOf, type Stage, type StageName } from '../core/pipeline.ts'
import type { TopicWord } from '../core/names.ts'
import { prices } from './prices.ts'

export interface Assumptions {
  /** Bytes of an alert as the survey sends it. */
  alertBytes: number
  /** Bytes of an alert without cutouts, with its schema, as a topic carries it on. */
  trimmedBytes: number
  /** Bytes of a row without cutouts. */
  rowBytes: number
  /** Share of alerts that the extragalactic filter passes on. */
  passed: number
  /** Bytes of a ledger event as it is billed. */
  ledgerBytes: number
  /** Hours that the consumer's machine runs. */
  hours: number
  /** Share of an instance's paid time in which it computes. */
  busy: number
}

/** ZTF: the mean message of 2021 (70.6 kB); rows and trimmed packets as measured. LSST: as announced. */
export const assumed: Readonly<Record<Survey, Assumptions>> = {
  ztf: {
    ...{ alertBytes: 70_600, trimmedBytes: 31_000, rowBytes: 6_500, passed: 0.05 },
    ...{ ledgerBytes: 1000, hours: 10, busy: 0.25 },
  },
  lsst: {
    ...{ alertBytes: 80_000, trimmedBytes: 40_000, rowBytes: 30_000, passed: 0.05 },
    ...{ ledgerBytes: 1000, hours: 10, busy: 0.25 },
  },
}

/**
 * CPU milliseconds of a message at each stage, of the whole process that serves the bundle: request,
 * handler, SDKs. `measured` by `bench/functions.bench.ts` against emulators, on a machine that had other
 * work to do, so rather too much than too little; the others are guesses that are said to be.
 */
const cpu: Readonly<Record<StageName, { ms: number; measured: boolean }>> = {
  archive: { ms: 4.5, measured: true },
  exgalac: { ms: 1.93, measured: true },
  warehouse: { ms: 4.5, measured: false },
  salt2: { ms: 200, measured: false },
}

export interface Line {
  stage: string
  /** What for, in words of the price. */
  item: string
  quantity: number
  unit: string
  dollars: number
}

const gib = 2 ** 30
const tib = 2 ** 40

/** The lines of a bill for so many alerts. What is kept, by the month, is not among them. */
export function billOf(survey: Survey, alerts: number, given: Partial<Assumptions> = {}): Line[] {
  const assume = { ...assumed[survey], ...given }
  const { alertBytes, trimmedBytes, rowBytes, passed, ledgerBytes, hours, busy } = assume
  const lines: Line[] = []
  const add = (stage: string, item: string, quantity: number, unit: string, each: number): void => {
    if (quantity > 0) lines.push({ stage, item, quantity, unit, dollars: quantity * each })
  }
  /** Messages on a topic, and bytes of one. */
  const trafficOf = (word: TopicWord): { messages: number; bytes: number } => {
    if (word === 'alert_data') return { messages: alerts, bytes: alertBytes }
    if (word === 'exgalac_trans') return { messages: alerts * passed, bytes: trimmedBytes }
    return { messages: alerts * passed, bytes: ledgerBytes }
  }
  const ledger = (stage: string, messages: number): void => {
    const size = (messages * ledgerBytes) / tib
    add(stage, 'ledger event published', size, 'TiB', prices.pubsub.dollars)
    add(stage, 'ledger event into its table', size, 'TiB', prices.pubsubToBigquery.dollars)
  }

  add('intake', 'machine', hours, 'h', prices.machine.dollars)
  add('intake', 'alert published', (alerts * alertBytes) / tib, 'TiB', prices.pubsub.dollars)
  ledger('intake', alerts)

  for (const name of stagesOf(survey)) {
    const stage: Stage = stages[name]
    const { messages, bytes } = trafficOf(stage.reads)
    add(name, 'alert delivered', (messages * bytes) / tib, 'TiB', prices.pubsub.dollars)
    const seconds = (messages * cpu[name].ms) / 1000 / busy
    add(name, 'computing', seconds, 'vCPU s', prices.cpu.dollars)
    add(name, 'memory', seconds * gibOf(stage), 'GiB s', prices.memory.dollars)
    add(name, 'requests', messages, '', prices.requests.dollars)
    if (stage.bucket !== undefined) {
      add(name, 'objects written', messages, '', prices.objectWrite.dollars)
    }
    if (stage.table !== undefined) {
      const size = (messages * (stage.table === 'alerts' ? rowBytes : ledgerBytes)) / gib
      add(name, 'rows written', size, 'GiB', prices.rows.dollars)
    }
    for (const word of stage.writes) {
      const out = trafficOf(word)
      const size = (out.messages * out.bytes) / tib
      add(name, `${word} published`, size, 'TiB', prices.pubsub.dollars)
    }
    ledger(name, messages)
  }
  return lines
}

/** What stays costs by the month: the archive and the rows of one night. */
export function keptOf(survey: Survey, alerts: number): { item: string; dollars: number }[] {
  const { alertBytes, rowBytes } = assumed[survey]
  const of = (bytes: number, each: number): number => ((alerts * bytes) / gib) * each
  return [
    { item: 'archive, Standard', dollars: of(alertBytes, prices.storage.dollars) },
    { item: 'rows, active', dollars: of(rowBytes, prices.table.dollars) },
  ]
}

const gibOf = ({ memory }: Stage): number =>
  memory.endsWith('Gi') ? Number.parseFloat(memory) : Number.parseFloat(memory) / 1024

/** Stages whose computing is a guess, since no bench has measured them. */
export function unmeasuredOf(survey: Survey): StageName[] {
  return stagesOf(survey).filter((name) => !cpu[name].measured)
}
