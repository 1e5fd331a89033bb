/** The report of a night in a few lines, for who reads mail before the page. */
import { summaryKey, type Notice } from '../notices.ts'
import type { NightReport } from './gather.ts'
import { count, duration } from './markup.ts'

/** The notice of how a night went. `where` is where its page is. */
export function summaryNotice(report: NightReport, where: string): Notice {
  const { survey, night, at, state, proof, latencies, deadLetters, history } = report
  const stage = (name: string, outcome: string): number =>
    proof.stages.find((one) => one.stage === name)?.outcomes[outcome] ?? 0
  const expected = proof.stages[0]?.expected ?? 0
  const missing = proof.stages.flatMap((one) =>
    [...one.missing, ...one.lost].map((run) => `  ${one.stage} ${run}`),
  )
  const dead = deadLetters.reduce((sum, letter) => sum + letter.count, 0)
  const slowest = Math.max(...latencies.map(({ p99 }) => p99))
  const lines =
    state === 'no_alerts'
      ? ['No alerts came.']
      : [
          `${count(expected)} occurrences, ${count(stage('archive', 'stored'))} archived, ` +
            `${count(stage('exgalac', 'published'))} candidates, ${count(dead)} dead letters`,
          `slowest p99 of a stage: ${duration(slowest)}`,
          ...(missing.length === 0
            ? ['Nothing is missing.']
            : ['Missing:', ...missing.slice(0, 20), ...more(missing.length - 20)]),
          `proof: ${proof.digest}`,
        ]
  const moves = history.map(
    ({ at: when, from, to, why }) =>
      `  ${when.slice(0, 16).replace('T', ' ')}Z ${from} → ${to}: ${why}`,
  )
  return {
    ...{ survey, night, at, key: summaryKey },
    subject: `Nightjar: ${survey} ${night}: ${state.replace('_', ' ')}`,
    text: [...lines, '', ...moves, '', `report: ${where}`].join('\n'),
  }
}

const more = (runs: number): string[] => (runs > 0 ? [`  … and ${count(runs)} runs more`] : [])
