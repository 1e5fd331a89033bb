/** What the packets of a night weigh: exact order statistics, and a histogram. */
import { escape, size } from './markup.ts'
import { niceCeiling } from './rates-chart.ts'

export interface PacketSizes {
  packets: number
  /** False where only the first packets, by name, were looked at. */
  all: boolean
  /** Bytes; `bytes` is their sum. */
  min: number
  median: number
  p99: number
  max: number
  bytes: number
  /** How many packets have `from` + i × `step` bytes up to the next step; the last also all larger. */
  histogram: { from: number; step: number; counts: number[] }
}

/** At most so many bars. */
const bars = 30

/** Sizes in bytes, in any order; undefined where there are none. They are sorted in place. */
export function packetSizes(sizes: Uint32Array, all: boolean): PacketSizes | undefined {
  const packets = sizes.length
  if (packets === 0) return undefined
  sizes.sort()
  const at = (q: number): number => sizes[Math.max(0, Math.ceil(q * packets) - 1)] ?? 0
  const [min, p99] = [at(0), at(0.99)]
  // A few packets of extraordinary length must not press all others into one bar.
  const step = niceCeiling(Math.max(1, (p99 - min) / (bars - 1)))
  const from = Math.floor(min / step) * step
  const last = Math.floor((p99 - from) / step)
  const counts = new Array<number>(last + 1).fill(0)
  let bytes = 0
  for (const each of sizes) {
    bytes += each
    const bar = Math.min(Math.floor((each - from) / step), last)
    counts[bar] = (counts[bar] ?? 0) + 1
  }
  return {
    ...{ packets, all, min, median: at(0.5), p99, max: at(1), bytes },
    histogram: { from, step, counts },
  }
}

const width = 880
const height = 180
const margin = { left: 12, right: 12, top: 12, bottom: 26 }

export function sizesChart({ histogram, max }: PacketSizes): string {
  const { from, step, counts } = histogram
  const most = Math.max(...counts)
  const slot = (width - margin.left - margin.right) / counts.length
  const foot = height - margin.bottom
  let svg = `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="Packets by size">`
  for (const [bar, n] of counts.entries()) {
    const tall = (n / most) * (foot - margin.top)
    const x = margin.left + bar * slot
    const low = from + bar * step
    const high = bar === counts.length - 1 ? Math.max(max, low + step) : low + step
    const title = `${size(low)} to ${size(high)}: ${n.toLocaleString('en-US')}`
    svg += `<rect x="${(x + 0.5).toFixed(1)}" y="${(foot - tall).toFixed(1)}" width="${(slot - 1).toFixed(1)}" height="${tall.toFixed(1)}"><title>${escape(title)}</title></rect>`
  }
  const labels = [0, Math.floor(counts.length / 2), counts.length - 1]
  for (const bar of new Set(labels)) {
    const x = (margin.left + (bar + 0.5) * slot).toFixed(1)
    const anchor = bar === 0 ? 'start' : bar === counts.length - 1 ? 'end' : 'middle'
    svg += `<text x="${x}" y="${height - 8}" text-anchor="${anchor}">${size(from + bar * step)}</text>`
  }
  return `${svg}</svg>`
}
