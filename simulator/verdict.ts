/**
 * Whether the extragalactic filter and the purity cuts should pass a packet, said once more and
 * independently of the stage that does it, so that the truth can check the stage.
 */
import type { PacketRecord } from './packet.ts'
import type { Values } from './source.ts'

export interface Verdict {
  /** Positive, not on a star, not moving, not in the solar system. */
  extragalactic: boolean
  /** F. Masci's cuts on the quality of the subtraction. */
  pure: boolean
}

/** Judge a packet by the filter's definition (Pitt-Google broker, January 2021). */
export function judge({ candidate, prv_candidates }: PacketRecord): Verdict {
  const distance = candidate['distpsnr1'] as number
  const score = candidate['sgscore1'] as number
  const solarSystem = candidate['ssdistnr'] as number
  const offStar = distance > 1.5 || score < 0.5
  const notMoving = longestGap([candidate, ...(prv_candidates ?? [])]) >= 30 / 1440
  const notSolar = solarSystem < 0 || solarSystem > 5
  return {
    extragalactic: candidate['isdiffpos'] === 't' && offStar && notMoving && notSolar,
    pure:
      (candidate['rb'] as number) >= 0.65 &&
      candidate['nbad'] === 0 &&
      (candidate['fwhm'] as number) <= 5 &&
      (candidate['elong'] as number) <= 1.2 &&
      Math.abs(candidate['magdiff'] as number) <= 0.1,
  }
}

/** The longest time between one positive detection and the next in the list, days. */
function longestGap(epochs: readonly Values[]): number {
  const times = epochs
    .filter(({ isdiffpos }) => isdiffpos === 't' || isdiffpos === '1')
    .map(({ jd }) => jd as number)
  return Math.max(0, ...times.slice(1).map((jd, i) => jd - (times[i] as number)))
}
