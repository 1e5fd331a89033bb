import assert from 'node:assert/strict'
import { test } from 'node:test'

import { skipWithoutKafka } from './broker.ts'
import { torture } from './torture.ts'

test(
  'kill -9 of the Kafka intake, and nothing is lost: a few of the rounds of `make torture`',
  { skip: skipWithoutKafka },
  async () => {
    const { rounds, homes, records } = await torture({ rounds: 6, seed: 'test', lanes: 2 })
    assert.equal(rounds, 6)
    assert.ok(homes > 0 && records > 0)
  },
)
