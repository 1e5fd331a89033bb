import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isPermanent } from '../../core/errors.ts'
import { readAlert } from '../../schemas/alert.ts'
import { corrupt, damages } from '../../simulator/corrupt.ts'
import { simulateNight } from '../../simulator/night.ts'
import { createRandom } from '../../simulator/random.ts'

const options = {
  night: '20261121',
  alerts: 3,
  seed: 1,
  partitions: 1,
  duplicates: 0,
  late: 0,
  corrupt: 0,
  oldSchemas: 0.5,
  gaps: 0,
}
const packets = [...simulateNight(options)].map(({ data }) => data as Uint8Array)

for (const damage of damages) {
  test(`corrupt() leaves nothing to read of a packet that is ${damage}`, () => {
    for (const [i, packet] of packets.entries()) {
      const before = Buffer.from(packet)
      for (let n = 0; n < 40; n++) {
        const bytes = corrupt(packet, damage, createRandom(damage, i, n))
        assert.throws(() => readAlert(bytes), isPermanent)
      }
      assert.ok(before.equals(packet), 'the packet itself is left alone')
    }
  })
}
