import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseDocument } from '../../../gateways/voevent/document.ts'
import { compileFilter, createFilters } from '../../../gateways/voevent/filters.ts'
import { made } from './events.ts'

const event = made({
  body: '<Who><AuthorIVORN>ivo://o.e/a</AuthorIVORN></Who><What><Param name="mag" value="19.5"/></What>',
})

function matches(...expressions: string[]): boolean {
  using document = parseDocument(event)
  const { filters } = createFilters(expressions)
  const verdict = filters.match(document)
  filters[Symbol.dispose]()
  return verdict
}

test('C20 a filter matches where Comet’s does', () => {
  for (const [expression, verdict] of [
    ['true()', true],
    ['false()', false],
    ['0', false],
    ['1', true],
    ['-1', true],
    ['number("x")', true],
    ['""', false],
    ['"a"', true],
    ['//Nope', false],
    ['//Who', true],
    ['/*/@ivorn', true],
    ['string(//Nope)', false],
    ['//Param[@name="mag" and @value>18]', true],
    ['//Param[@name="mag" and @value>20]', false],
    ['//voe:VOEvent', false],
    ['foo()', false],
    ['$x', false],
    ['re:test(..)', false],
  ] as const) {
    assert.equal(matches(expression), verdict, expression)
  }
})

test('of several filters one must match, and one that fails leaves the word to the others', () => {
  assert.equal(matches('//Nope', '//Who'), true)
  assert.equal(matches('foo()', '//Who'), true)
  assert.equal(matches('foo()', '//Nope'), false)
})

test('filters of wrong syntax are left out; where none is left, everything is sent', () => {
  assert.equal(matches('//[', '//Nope'), false)
  assert.equal(matches('//['), true)
  assert.equal(matches(), true)
  assert.deepEqual(createFilters(['//[', '//Who']).refused, ['//['])
})

test('more filters, or longer ones, than anybody needs are left out', () => {
  const { filters, refused } = createFilters(Array.from({ length: 40 }, (_, i) => `//P${i}`))
  assert.equal(filters.expressions.length, 32)
  assert.equal(refused.length, 8)
  assert.throws(() => compileFilter(`//${'a'.repeat(5000)}`), { code: 'input_invalid' })
})
