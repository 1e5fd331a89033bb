import assert from 'node:assert/strict'
import { test } from 'node:test'

import { createRandom } from '../../simulator/random.ts'

test('createRandom() gives the same numbers for the same words on every machine', () => {
  const random = createRandom('a night', 1)
  const drawn = [random.next(), random.next(), random.next()].map((value) => value * 2 ** 32)
  assert.deepEqual(drawn, [3337113199, 3910215928, 1836228613])
})

test('createRandom() gives other numbers for other words', () => {
  assert.notEqual(createRandom('a', 1).next(), createRandom('a', 2).next())
  assert.notEqual(createRandom('ab', 'c').next(), createRandom('a', 'bc').next())
})

test('next() is even, normal() has mean 0 and deviation 1, exponential() the mean asked for', () => {
  const random = createRandom('moments')
  const draws = 20_000
  const mean = (draw: () => number): number => {
    let sum = 0
    for (let i = 0; i < draws; i++) sum += draw()
    return sum / draws
  }
  assert.ok(Math.abs(mean(random.next) - 0.5) < 0.01)
  assert.ok(Math.abs(mean(random.normal)) < 0.03)
  assert.ok(Math.abs(mean(() => random.normal() ** 2) - 1) < 0.04)
  assert.ok(Math.abs(mean(() => random.exponential(3)) - 3) < 0.1)
})
