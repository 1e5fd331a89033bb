import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'

import { reddeningAt } from '../../salt2/milky-way/milky-way.ts'
import { dataDir, skipWithoutData } from '../data.ts'

test('reddeningAt() is small at the pole of the Galaxy and large in its plane', () => {
  const pole = reddeningAt(192.86, 27.13)
  assert.equal(pole.source, 'bh1982')
  assert.ok(pole.mwebv < 0.03)
  const plane = reddeningAt(266.4, -29)
  assert.equal(plane.source, 'layer')
  assert.ok(plane.mwebv > 0.3)
})

test('reddeningAt() knows every place, and a right ascension by any turn', () => {
  for (let dec = -90; dec <= 90; dec += 7.5) {
    for (let ra = 0; ra < 360; ra += 7.3) {
      const { mwebv } = reddeningAt(ra, dec)
      assert.ok(mwebv > 0.005 && mwebv <= 0.7, `${ra} ${dec}: ${mwebv}`)
      assert.deepEqual(reddeningAt(ra - 360, dec), reddeningAt(ra, dec))
    }
  }
})

test(
  'reddeningAt() agrees with the A_V of ZTF’s Bright Transient Survey to 0.011 mag (NMAD)',
  { skip: skipWithoutData },
  () => {
    const file = join(dataDir, 'salt2/reference/bts_alertphot.train.jsonl.gz')
    const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split('\n')
    const differences = lines.flatMap((line) => {
      const { ra, dec, mwebv } = JSON.parse(line) as { ra: string; dec: string; mwebv: number }
      const found = reddeningAt(15 * degrees(ra), degrees(dec))
      return found.source === 'bh1982' ? [found.mwebv - mwebv] : []
    })
    assert.ok(differences.length > 600)
    const middle = median(differences)
    const nmad = 1.4826 * median(differences.map((value) => Math.abs(value - middle)))
    assert.ok(Math.abs(middle) < 0.003, `median difference ${middle}`)
    assert.ok(nmad < 0.011, `NMAD ${nmad}`)
  },
)

function degrees(text: string): number {
  const [whole = 0, minutes = 0, seconds = 0] = text.replace(/^[+-]/, '').split(':').map(Number)
  const size = whole + minutes / 60 + seconds / 3600
  return text.startsWith('-') ? -size : size
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN
