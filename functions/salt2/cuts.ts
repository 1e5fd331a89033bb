/** Is a light curve worth a fit? Judged before it, on signed fluxes. */
import { bands, type Measurement } from './measurement.ts'
import type { QualityCuts } from './settings.ts'

/** Why a light curve fails the cuts, in words with numbers; nothing where it passes. */
export function failedCut(points: readonly Measurement[], cuts: QualityCuts): string | undefined {
  const detections = points.filter(({ flux, fluxErr }) => flux >= cuts.minSignal * fluxErr)
  const seen = bands.filter((band) => detections.some((point) => point.band === band))
  const wanted = seen.length >= 2 ? cuts.minDetections : cuts.minDetectionsInOneBand
  if (detections.length < wanted) {
    const where = seen.length >= 2 ? '' : ' in one band'
    return `${detections.length} of ${wanted} detections${where}`
  }
  const times = detections.map(({ jd }) => jd)
  const first = Math.min(...times)
  const last = Math.max(...times)
  const recent = times.filter((jd) => jd >= last - cuts.recentDays).length
  if (recent < cuts.minRecent) {
    return `${recent} of ${cuts.minRecent} detections in the last ${cuts.recentDays} days`
  }
  const span = last - first
  if (span < cuts.minSpanDays) {
    return `detections span ${span.toFixed(1)} of ${cuts.minSpanDays} days`
  }
  return undefined
}
