import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createAxis, decimalsOf, ticksOf } from '../../../functions/salt2/plot/axis.ts'
import { drawPicture } from '../../../functions/salt2/plot/draw.ts'
import { measured } from '../../../functions/salt2/plot/numbers.ts'
import type { Picture } from '../../../functions/salt2/plot/picture.ts'
import { sexagesimal } from '../../../functions/salt2/plot/position.ts'
import { renderPng } from '../../../functions/salt2/plot/render.ts'

const mjd = Array.from({ length: 40 }, (_, i) => 59400 + i)
const flux = mjd.map((day) => 500 * Math.exp(-(((day - 59412) / 9) ** 2)))

const picture: Picture = {
  objectId: 'ZTF26example',
  captions: ['10 00 00.00  +20 00 00.0', 'salt2-4'],
  points: mjd.slice(0, 20).map((day, i) => ({
    ...{ band: (['g', 'r', 'i'] as const)[i % 3] ?? 'g', kind: 'detection', mjd: day, fluxErr: 20 },
    ...{ flux: (flux[i] ?? 0) + (i % 5), used: i > 2, ...(i > 2 && { pull: (i % 5) - 2 }) },
  })),
  curves: [{ band: 'g', mjd, flux, fluxErr: flux.map((value) => value / 10) }],
  maximum: { mjd: 59412, error: 0.4 },
  days: { from: -14, to: 30 },
  parameters: [{ name: 'z', value: '0.050', error: '0.006' }],
  stamps: {},
}

test('a picture is the same bytes again, light and dark, with nothing that is no number', () => {
  const svg = drawPicture(picture)
  assert.equal(drawPicture(picture), svg)
  assert.notEqual(drawPicture(picture, 'dark'), svg)
  assert.match(svg, /@media \(prefers-color-scheme:dark\)/)
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/)
  assert.equal(
    svg.match(/<circle /g)?.length,
    7 + 6 + 1,
    'g: in the light curve, its residuals, the legend',
  )
})

test('the names of an object cannot leave their place in the SVG', () => {
  const svg = drawPicture({ ...picture, objectId: '"><script>&\u0000' })
  assert.doesNotMatch(svg, /<script|\u0000/)
  assert.ok(svg.includes('&quot;&gt;&lt;script&gt;&amp;'))
})

test('a picture without fit, without points or with a flux of nothing can be drawn', () => {
  const { maximum: _, ...rest } = picture
  const notice = 'not fitted: 3 of 5 detections'
  const plain = { ...rest, curves: [], parameters: [], notice, days: { from: 59398, to: 59421 } }
  assert.match(drawPicture(plain), />MJD<\/text>/)
  assert.ok(drawPicture(plain).includes(notice))
  for (const points of [[], plain.points.map((point) => ({ ...point, flux: 0, fluxErr: 1e-9 }))]) {
    assert.doesNotMatch(drawPicture({ ...plain, points }), /NaN|Infinity/)
  }
})

test('the PNG is as wide as asked, has ink and paper, and needs no font of the system', async () => {
  const png = Buffer.from(await renderPng(drawPicture(picture), 280))
  assert.equal(png.subarray(1, 4).toString('latin1'), 'PNG')
  assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [280, 158])
  const blank = drawPicture(picture).replaceAll(/<text .*?<\/text>/g, '')
  const without = Buffer.from(await renderPng(blank, 280))
  assert.ok(png.length > without.length + 1000, 'its texts are in it')
})

test('ticksOf() gives round numbers inside the range, and decimalsOf() tells them apart', () => {
  assert.deepEqual(ticksOf(-14, 30, 8), [-10, 0, 10, 20, 30])
  assert.deepEqual(ticksOf(0, 0.5, 5), [0, 0.1, 0.2, 0.3, 0.4, 0.5])
  assert.deepEqual(ticksOf(3, 3, 5), [])
  assert.deepEqual([decimalsOf([0, 0.2]), decimalsOf([0, 50]), decimalsOf([7])], [1, 0, 0])
})

test('an axis puts what lies outside at its end', () => {
  const axis = createAxis(0, 10, 100, 200)
  assert.deepEqual([-5, 0, 5, 10, 99].map(axis.at), [100, 100, 150, 200, 200])
})

test('measured() rounds a value and its deviation to two digits of the deviation', () => {
  assert.deepEqual(measured(0.03249, 0.00451), { value: '0.0325', error: '0.0045' })
  assert.deepEqual(measured(-1.5523, 0.294), { value: '−1.55', error: '0.29' })
  assert.deepEqual(measured(59410.4967, 12.3), { value: '59410', error: '12' })
  assert.deepEqual(measured(1.5, 0), { value: '1.500' })
  assert.deepEqual(measured(1.5, NaN), { value: '1.500' })
})

test('sexagesimal() rounds seconds up to the next minute', () => {
  assert.equal(sexagesimal(0.814293, 16.1456989), '00 03 15.43  +16 08 44.5')
  assert.equal(sexagesimal(359.99999999, -0.99999999), '00 00 00.00  −01 00 00.0')
})
