/** What a night costs in the cloud, reader by reader, from the pipeline's own table and list prices. */
import type { Survey, TopicWord } from '../core/names.ts'
import { noticeTopics, readersOf, stages, type Stage, type StageReader } from '../core/pipeline.ts'
import { measured } from './measured.ts'
import { prices } from './prices.ts'

export interface Assumptions {
  /** Bytes of an alert as the survey sends it, and of the attributes that it is given. */
  alertBytes: number
  attributeBytes: number
  /** Bytes of an alert without cutouts, with its schema, as a topic carries it on. */
  trimmedBytes: number
  /** Bytes of a row without cutouts. */
  rowBytes: number
  /** Share of alerts that the extragalactic filter passes on. */
  passed: number
  /** Bytes of a small message: a ledger event; a fit; the notice of a new object. */
  ledgerBytes: number
  fitBytes: number
  noticeBytes: number
  /** Hours over which the alerts of a night come, evenly, and the consumer's machine runs. */
  hours: number
  /** Seconds that a request of a reader takes, most of it waiting for services. */
  requestSeconds: Readonly<Record<StageReader['name'], number>>
  /** Share of its processor at which instances are added (Cloud Run docs: "About instance autoscaling"). */
  busiest: number
}

const ours = {
  ...{ attributeBytes: 300, ledgerBytes: 400, fitBytes: 1500, noticeBytes: 1000 },
  ...{ hours: 10, requestSeconds: { packets: 0.15, salt2: 0.5 }, busiest: 0.6 },
}

/**
 * ZTF: the mean message of 2021 (70.6 kB); rows and trimmed packets as measured; the original passed 24
 * transients of 2,000 alerts a minute. LSST: as announced.
 */
export const assumed: Readonly<Record<Survey, Assumptions>> = {
  ztf: { ...ours, alertBytes: 70_600, trimmedBytes: 31_000, rowBytes: 6_500, passed: 0.015 },
  lsst: { ...ours, alertBytes: 80_000, trimmedBytes: 40_000, rowBytes: 30_000, passed: 0.015 },
}

/** Where the stages run: in functions, or by `nightjar run --cloud` beside the consumer. */
export const places = ['functions', 'machine'] as const
export type Place = (typeof places)[number]

export interface Line {
  /** A stage; or a reader, for what its stages share. */
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
export function billOf(
  survey: Survey,
  alerts: number,
  place: Place = 'functions',
  given: Partial<Assumptions> = {},
): Line[] {
  const assume = { ...assumed[survey], ...given }
  const { alertBytes, attributeBytes, trimmedBytes, rowBytes, passed, hours } = assume
  const { ledgerBytes, fitBytes, noticeBytes, requestSeconds, busiest } = assume
  const lines: Line[] = []
  const add = (stage: string, item: string, quantity: number, unit: string, each: number): void => {
    if (quantity > 0) lines.push({ stage, item, quantity, unit, dollars: quantity * each })
  }
  /** Messages on a topic, and bytes of one. */
  const trafficOf = (word: TopicWord): { messages: number; bytes: number } => {
    if (word === 'alert_data') return { messages: alerts, bytes: alertBytes + attributeBytes }
    const messages = alerts * passed
    if (word === 'exgalac_trans') return { messages, bytes: trimmedBytes + attributeBytes }
    return { messages, bytes: fitBytes }
  }
  /** Events that go in one request are billed together, as 1,000 bytes at least. */
  const ledger = (stage: string, messages: number, together: number): void => {
    const billed = Math.max(ledgerBytes, 1000 / together)
    add(stage, 'ledger event published', (messages * billed) / tib, 'TiB', prices.pubsub.dollars)
    const size = (messages * ledgerBytes) / tib
    add(stage, 'ledger event into its table', size, 'TiB', prices.pubsubToBigquery.dollars)
  }

  const readers = readersOf(survey)
  const { processors } = machineOf(readers)
  add('intake', `machine, ${processors} vCPU`, hours * processors, 'vCPU h', prices.machine.dollars)
  const alert = trafficOf('alert_data')
  const published = (alert.messages * alert.bytes) / tib
  add('intake', 'alert published', published, 'TiB', prices.pubsub.dollars)
  ledger('intake', alerts, 10)
  for (const reader of readers) {
    const { messages, bytes } = trafficOf(reader.reads)
    const delivered = (messages * bytes) / tib
    add(reader.name, 'alert delivered', delivered, 'TiB', prices.pubsub.dollars)
    if (place === 'functions') {
      const seconds = paidSeconds(reader, messages)
      add(reader.name, 'computing', seconds, 'vCPU s', prices.cpu.dollars)
      add(reader.name, 'memory', seconds * gibOf(reader), 'GiB s', prices.memory.dollars)
      add(reader.name, 'requests', messages, '', prices.requests.dollars)
    }
    for (const name of reader.stages) addStage(name, messages, reader.stages.length)
  }
  return lines

  /** What a stage does by itself, wherever it runs. */
  function addStage(name: StageReader['stages'][number], messages: number, together: number): void {
    const stage: Stage = stages[name]
    const { classA, classB } = name === 'salt2' ? measured.salt2 : { classA: 1, classB: 0 }
    if (stage.bucket !== undefined) {
      add(name, 'objects written', messages * classA, '', prices.objectWrite.dollars)
      add(name, 'objects read', messages * classB, '', prices.objectRead.dollars)
      if (noticeTopics[stage.bucket] !== undefined) {
        const size = (messages * noticeBytes) / tib
        add(name, 'notice published', size, 'TiB', prices.pubsub.dollars)
      }
    }
    if (stage.table !== undefined) {
      const size = (messages * (stage.table === 'alerts' ? rowBytes : fitBytes)) / gib
      add(name, 'rows written', size, 'GiB', prices.rows.dollars)
    }
    for (const word of stage.writes) {
      const out = trafficOf(word)
      const size = (out.messages * out.bytes) / tib
      add(name, `${word} published`, size, 'TiB', prices.pubsub.dollars)
    }
    ledger(name, messages, together)
  }

  /**
   * Seconds in which an instance has a request, and so is paid: with alerts that come evenly, 1 − e^−λτ of
   * the night of one instance, or what the processor needs where that is more. Alerts come in bursts, an
   * exposure at a time, and then it is less.
   */
  function paidSeconds({ name }: StageReader, messages: number): number {
    const night = hours * 3600
    const underWay = (messages / night) * requestSeconds[name]
    const computing = (messages * measured.readers[name].cpuMs) / 1000 / busiest
    return Math.max(night * (1 - Math.exp(-underWay)), computing)
  }

  /** The consumer's machine, with room for the stages where they run on it, too. */
  function machineOf(all: readonly StageReader[]): { processors: number } {
    if (place === 'functions') return { processors: 1 }
    const needed = all.map(({ name, reads }) => {
      return (trafficOf(reads).messages * measured.readers[name].cpuMs) / 1000 / (hours * 3600)
    })
    const load = needed.reduce((sum, one) => sum + one, 0) / busiest
    return { processors: 2 ** Math.max(0, Math.ceil(Math.log2(load))) }
  }
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

const gibOf = ({ memory }: StageReader): number =>
  memory.endsWith('Gi') ? Number.parseFloat(memory) : Number.parseFloat(memory) / 1024
