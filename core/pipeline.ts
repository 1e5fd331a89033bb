/**
 * The table of contents: each stage, what it reads and what it writes. `infra/` makes topics,
 * subscriptions, functions and permissions from it, `functions/main.ts` and `local/main.ts` wire the
 * same handlers to it, the audit checks each stage's input against it. Nothing repeats it.
 */
import type { BucketWord, Survey, TopicWord } from './names.ts'

export interface Stage {
  /** One sentence for people: help, dashboard, report. */
  does: string
  reads: TopicWord
  /**
   * The cloud's subscription and function that bring it its messages. Stages of one reader share each
   * delivery, which is paid once; here each has a subscription of its own, which costs nothing.
   */
  reader: string
  /** Topics that carry its results. Ledger and dead letters are every stage's. */
  writes: readonly TopicWord[]
  bucket?: BucketWord
  table?: string
  surveys: readonly Survey[]
  /** What a cloud function of it is given. */
  memory: '256Mi' | '512Mi' | '1Gi'
}

export const stages = {
  archive: {
    does: 'store every alert as a schema-fixed Avro file',
    reads: 'alert_data',
    reader: 'packets',
    writes: [],
    bucket: 'alert_avro_bucket',
    surveys: ['ztf', 'lsst'],
    memory: '512Mi',
  },
  warehouse: {
    does: 'store every alert, without cutouts, as a row',
    reads: 'alert_data',
    reader: 'packets',
    writes: [],
    table: 'alerts',
    surveys: ['ztf', 'lsst'],
    memory: '512Mi',
  },
  exgalac: {
    does: 'pick out extragalactic transients',
    reads: 'alert_data',
    reader: 'packets',
    writes: ['exgalac_trans'],
    surveys: ['ztf'],
    memory: '256Mi',
  },
  salt2: {
    does: 'fit a type Ia supernova to each transient, with its plot and a peak forecast',
    reads: 'exgalac_trans',
    reader: 'salt2',
    writes: ['salt2'],
    bucket: 'sncosmo',
    table: 'salt2',
    surveys: ['ztf'],
    memory: '1Gi',
  },
} as const satisfies Record<string, Stage>

export type StageName = keyof typeof stages

export type ReaderName = (typeof stages)[StageName]['reader']

/** A subscription and the function that it is pushed to, with the stages that it serves. */
export interface StageReader {
  name: ReaderName
  reads: TopicWord
  stages: readonly StageName[]
  /** What the hungriest of them needs. */
  memory: Stage['memory']
}

/** The first of all: it has no subscription, it reads the survey's stream itself. */
export const intake = 'intake'

/**
 * The stages of the named filters, and what each reads: alerts, or fits with the alerts that they are of.
 * They are not in the table: they read from when the first filter of their kind is added on, and write a
 * topic per filter. From then on the audit counts them like any other.
 */
export const filterStages = { filter: 'alert_data', filter_fits: 'salt2' } as const

export type FilterStage = keyof typeof filterStages

export function isFilterStage(stage: string): stage is FilterStage {
  return Object.hasOwn(filterStages, stage)
}

/** Their readers in the cloud. */
const filterReaders = { filter: 'filter', filter_fits: 'fits' } as const

/**
 * Their entries for the cloud, where a deployment has their readers or has not: each brings every alert,
 * or every fit, once more, and that is paid for also while there is no filter.
 */
const filterTable: Readonly<Record<FilterStage, Stage>> = {
  filter: {
    does: 'judge every alert by the named filters',
    reads: filterStages.filter,
    reader: filterReaders.filter,
    writes: [],
    surveys: ['ztf', 'lsst'],
    memory: '512Mi',
  },
  filter_fits: {
    does: 'judge every fit by the named filters on fits',
    reads: filterStages.filter_fits,
    reader: filterReaders.filter_fits,
    writes: [],
    surveys: ['ztf'],
    memory: '512Mi',
  },
}

export type FilterReaderName = (typeof filterReaders)[FilterStage]

/** The subscription and the function of a stage of the named filters. */
export interface FilterReader {
  name: FilterReaderName
  reads: TopicWord
  stages: readonly FilterStage[]
  memory: Stage['memory']
}

export type AnyReader = StageReader | FilterReader

/** The entry of a stage, be it in the table or one of the named filters'. */
export function stageNamed(name: StageName | FilterStage): Stage {
  return isFilterStage(name) ? filterTable[name] : stages[name]
}

/** What a stage reads, be it in the table or one of the named filters'. */
export function readsOf(stage: string): TopicWord {
  if (isFilterStage(stage)) return filterStages[stage]
  return Object.hasOwn(stages, stage) ? stages[stage as StageName].reads : 'alert_data'
}

/** What a bucket announces its new objects on. */
export const noticeTopics: Partial<Record<BucketWord, TopicWord>> = {
  alert_avro_bucket: 'alert_avro_bucket',
}

/** The stages that a survey's alerts go through, in the order of the table. */
export function stagesOf(survey: Survey): StageName[] {
  const names = Object.keys(stages) as StageName[]
  return names.filter((name) => (stages[name].surveys as readonly Survey[]).includes(survey))
}

/** The readers of a survey, in the order of the table. */
export function readersOf(survey: Survey): StageReader[] {
  const names = Map.groupBy(stagesOf(survey), (name) => stages[name].reader)
  return [...names].map(([name, served]) => {
    const [first] = served
    if (first === undefined) throw new Error(`Reader "${name}" serves nobody`)
    const memory = served.map((stage) => stages[stage].memory)
    memory.sort((a, b) => mebibytes(b) - mebibytes(a))
    return { name, stages: served, reads: stages[first].reads, memory: memory[0] ?? '512Mi' }
  })
}

/** The readers of a survey's named filters. */
export function filterReadersOf(survey: Survey): FilterReader[] {
  return Object.keys(filterReaders)
    .filter(isFilterStage)
    .filter((stage) => filterTable[stage].surveys.includes(survey))
    .map((stage) => {
      const { reads, memory } = filterTable[stage]
      return { name: filterReaders[stage], reads, stages: [stage], memory }
    })
}

const mebibytes = (memory: Stage['memory']): number =>
  Number.parseInt(memory) * (memory.endsWith('Gi') ? 1024 : 1)

/** Every topic that exists for a survey: what is read, written, announced, and the three for all. */
export function topicsOf(survey: Survey): TopicWord[] {
  const words = new Set<TopicWord>(['alert_data', 'alert_avro_bucket'])
  for (const name of stagesOf(survey)) {
    const stage: Stage = stages[name]
    words.add(stage.reads)
    for (const word of stage.writes) words.add(word)
  }
  return [...words, 'ledger', 'dead_letter', 'night']
}

/**
 * Topics that no stage reads. Each has a subscription `-counter` as the original had: it counts, and it
 * keeps what was published for who comes later.
 */
export function countedTopics(survey: Survey): TopicWord[] {
  const read = new Set<TopicWord>(readersOf(survey).map(({ reads }) => reads))
  const ours = new Set<TopicWord>(['ledger', 'dead_letter', 'night'])
  return topicsOf(survey).filter((word) => !read.has(word) && !ours.has(word))
}

/** The reader of such a subscription. */
export const counter = 'counter'
