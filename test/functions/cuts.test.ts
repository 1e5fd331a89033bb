import assert from 'node:assert/strict'
import { test } from 'node:test'

import { failedCuts, isTransient, judgeCuts, type Cuts } from '../../functions/exgalac/cuts.ts'

type Fields = Record<string, unknown>

const jd = 2460000.5
const minutes = (count: number): number => count / (24 * 60)

/** A candidate that passes every cut. */
const good: Fields = {
  jd,
  isdiffpos: 't',
  distpsnr1: 12,
  sgscore1: 0.9,
  ssdistnr: -999,
  rb: 0.9,
  nbad: 0,
  fwhm: 2,
  elong: 1.1,
  magdiff: 0.01,
}
const history: Fields[] = [
  { jd: jd - 3, isdiffpos: 't' },
  { jd: jd - 1, isdiffpos: 't' },
]

const judge = (candidate: Fields, prv: unknown = history): Cuts =>
  judgeCuts({ candidate: { ...good, ...candidate }, prv_candidates: prv })

function without(name: string): Fields {
  return Object.fromEntries(Object.entries(good).filter(([key]) => key !== name))
}

test('an alert that passes every cut is a transient, and pure', () => {
  const cuts = judge({})
  assert.deepEqual(failedCuts(cuts), [])
  assert.equal(isTransient(cuts), true)
  assert.equal(cuts.is_pure, true)
})

test('purity is beside the verdict', () => {
  const cuts = judge({ rb: 0.1 })
  assert.equal(cuts.is_pure, false)
  assert.equal(isTransient(cuts), true)
  assert.deepEqual(failedCuts(cuts), [])
})

test('positive is what ZTF writes as t or 1', () => {
  const table: [unknown, boolean][] = [
    ['t', true],
    ['1', true],
    ['f', false],
    ['0', false],
    [null, false],
    [undefined, false],
    ['', false],
  ]
  for (const [isdiffpos, expected] of table) {
    const cuts = judge({ isdiffpos })
    assert.equal(cuts.is_positive_sub, expected, String(isdiffpos))
    assert.equal(isTransient(cuts), expected, String(isdiffpos))
  }
})

test('a point source is near and star-like, and known to be both', () => {
  const table: [unknown, unknown, boolean][] = [
    [1.5, 0.5, false],
    [1.5, 0.49999, true],
    [1.50001, 1, true],
    [0, 1, false],
    [0.3, 0.2, true],
    [null, null, true],
    [null, 1, true],
    [-999, -999, true],
    [-999, 1, true],
    [NaN, 1, true],
    [0.3, null, true],
    [0.3, -999, true],
    [0.3, NaN, true],
    [undefined, undefined, true],
  ]
  for (const [distpsnr1, sgscore1, passes] of table) {
    const { no_pointsource_counterpart: found } = judge({ distpsnr1, sgscore1 })
    assert.equal(found, passes, `${String(distpsnr1)} arcsec, score ${String(sgscore1)}`)
  }
})

test('a known solar-system object counts from 0 to 5 arcsec', () => {
  const table: [unknown, boolean][] = [
    [0, false],
    [5, false],
    [5.00001, true],
    [-0.1, true],
    [-999, true],
    [null, true],
    [NaN, true],
    [undefined, true],
  ]
  for (const [ssdistnr, passes] of table) {
    assert.equal(judge({ ssdistnr }).no_ssobject, passes, String(ssdistnr))
  }
})

test('not moving are two positive detections half an hour apart, one right after the other', () => {
  const at = (...epochs: [number, string | null][]): Fields[] =>
    epochs.map(([days, isdiffpos]) => ({ jd: jd + days, isdiffpos }))
  const table: [string, Fields[] | null, boolean][] = [
    ['no history at all', null, false],
    ['an empty one', [], false],
    // The candidate stands first, so the step to its only detection goes back in time.
    ['one detection before', at([-1, 't']), false],
    ['two, a day apart', at([-2, 't'], [-1, 't']), true],
    ['29 minutes apart', at([-1, 't'], [-1 + minutes(29), 't']), false],
    ['30.1 minutes apart', at([-1, 't'], [-1 + minutes(30.1), 't']), true],
    ['as 1 is t', at([-2, '1'], [-1, 't']), true],
    ['fainter ones do not count', at([-2, 'f'], [-1, 't']), false],
    ['nor does 0', at([-2, '0'], [-1, '1']), false],
    ['limits between do not count', at([-2, 't'], [-1.5, null], [-1, 't']), true],
    [
      'short steps do not sum up',
      at([-1, 't'], [-1 + minutes(20), 't'], [-1 + minutes(40), 't']),
      false,
    ],
    ['a faint one between does not part them', at([-2, 't'], [-1.999, 'f'], [-1, 't']), true],
  ]
  for (const [name, prv, passes] of table) {
    assert.equal(judge({}, prv).not_moving, passes, name)
  }
})

test('an epoch without a time is no detection', () => {
  const prv = [
    { jd: null, isdiffpos: 't' },
    { jd: jd - 1, isdiffpos: 't' },
  ]
  assert.equal(judge({}, prv).not_moving, false)
})

test('each purity cut holds at its edge, and what is not known is not pure', () => {
  const table: [string, unknown, boolean][] = [
    ['rb', 0.65, true],
    ['rb', 0.6499, false],
    ['nbad', 0, true],
    ['nbad', 1, false],
    ['fwhm', 5, true],
    ['fwhm', 5.001, false],
    ['elong', 1.2, true],
    ['elong', 1.2001, false],
    ['magdiff', 0.1, true],
    ['magdiff', -0.1, true],
    ['magdiff', 0.1001, false],
    ['magdiff', -0.1001, false],
  ]
  for (const [name, value, pure] of table) {
    assert.equal(judge({ [name]: value }).is_pure, pure, `${name} ${String(value)}`)
  }
  for (const name of ['rb', 'nbad', 'fwhm', 'elong', 'magdiff']) {
    for (const value of [null, NaN, -999]) {
      assert.equal(judge({ [name]: value }).is_pure, false, `${name} ${String(value)}`)
    }
    const cuts = judgeCuts({ candidate: without(name), prv_candidates: history })
    assert.equal(cuts.is_pure, false, `no ${name}`)
  }
})

test('the names of failed cuts are those of the verdict', () => {
  const cuts = judge({ isdiffpos: 'f', ssdistnr: 1, distpsnr1: 0.5, sgscore1: 1 }, null)
  assert.deepEqual(failedCuts(cuts), [
    'is_positive_sub',
    'no_pointsource_counterpart',
    'not_moving',
    'no_ssobject',
  ])
})

test('a packet without candidate, or with a history that is no list, is judged all the same', () => {
  assert.equal(isTransient(judgeCuts({})), false)
  assert.equal(isTransient(judge({}, { jd: [jd - 2, jd - 1], isdiffpos: ['t', 't'] })), false)
})
