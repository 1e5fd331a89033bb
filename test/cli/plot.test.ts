import assert from 'node:assert/strict'
import { test } from 'node:test'

import { plotLegend, plotLightCurve } from '../../cli/plot.ts'
import type { Band, LightCurvePoint } from '../../core/light-curve.ts'

const day = (days: number): number => 2461000 + days

function detection(days: number, band: Band, mag: number, positive = true): LightCurvePoint {
  return { jd: day(days), band, kind: 'detection', mag, positive }
}

const points: LightCurvePoint[] = [
  { jd: day(0), band: 'r', kind: 'limit', limit: 20.5, positive: true },
  { jd: day(3), band: 'r', kind: 'limit', limit: 20.5, positive: true },
  { jd: day(5), band: 'g', kind: 'forced', mag: 20.8, flux: 10, fluxErr: 2, positive: true },
  { jd: day(5.5), band: 'g', kind: 'forced', mag: 20.8, flux: 10, fluxErr: 9, positive: true },
  detection(6, 'g', 19.6),
  detection(9, 'g', 18.9),
  detection(12, 'g', 18.4),
  detection(12, 'r', 18.9),
  detection(15, 'g', 18.1),
  detection(18, 'g', 18.2),
  detection(18, 'i', 19.5, false),
]

test('plotLightCurve() draws brightness upward, limits, forced points and both signs', () => {
  assert.deepEqual(plotLightCurve(points, { width: 50, height: 14 }), [
    ' 18.0 ┤                                  G',
    '      │                           G             G',
    ' 18.5 ┤',
    '      │                     G     R',
    ' 19.0 ┤',
    '      │',
    ' 19.5 ┤              G                          i',
    ' 20.0 ┤',
    '      │',
    ' 20.5 ┤˅      ˅',
    '      │           ·',
    ' 21.0 ┤',
    '      └───────┴──────────┴───────────┴──────────┴',
    '            -15        -10          -5        0 d',
  ])
})

test('plotLightCurve() counts hours where all happened in one night', () => {
  const night = [detection(0, 'g', 20.2), detection(0.125, 'r', 19.4)]
  assert.deepEqual(plotLightCurve(night, { width: 40, height: 8 }), [
    ' 19.0 ┤',
    '      │                               R',
    ' 19.5 ┤',
    ' 20.0 ┤',
    '      │G',
    ' 20.5 ┤',
    '      └┴─────────┴──────────┴─────────┴',
    '      -3        -2         -1       0 h',
  ])
})

test('plotLightCurve() keeps to its size, whatever it is given', () => {
  for (const width of [20, 61, 100]) {
    for (const height of [6, 13, 30]) {
      const lines = plotLightCurve(points, { width, height })
      assert.equal(lines.length, height)
      assert.ok(lines.every((line) => line.length <= width))
    }
  }
})

test('plotLightCurve() colours bands and dims limits where it may', () => {
  const text = plotLightCurve(points, { width: 50, height: 14, color: true }).join('\n')
  assert.ok(text.includes('\x1b[32mG\x1b[0m'))
  assert.ok(text.includes('\x1b[31mR\x1b[0m'))
  assert.ok(text.includes('\x1b[2m˅\x1b[0m'))
})

test('plotLightCurve() draws nothing of no points', () => {
  assert.deepEqual(plotLightCurve([], { width: 50, height: 14 }), [])
})

test('plotLegend() explains the marks that are there and no others', () => {
  assert.equal(
    plotLegend(points),
    'G R brighter than the reference, i fainter than the reference, · forced, ˅ limit',
  )
  assert.equal(plotLegend(points.slice(4, 6)), 'G brighter than the reference')
})
