import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { suite, test } from 'node:test'

import { NightjarError } from '../../core/errors.ts'
import { openJournal, type Journal, type JournalOptions } from '../../local/journal.ts'
import { temporaryFolder } from './home.ts'

/** Run with a journal whose topics stand for any rows. */
async function withJournal(
  run: (journal: Journal, file: string) => Promise<void>,
  options: Partial<JournalOptions> = {},
): Promise<void> {
  const folder = temporaryFolder()
  const file = join(folder.path, 'journal.sqlite')
  const journal = openJournal({ file, ...options })
  try {
    await run(journal, file)
  } finally {
    await journal.close()
    folder.remove()
  }
}

const insert = (journal: Journal, name: string): (() => string) => {
  const statement = journal.statement('INSERT INTO topic (name) VALUES (?)')
  return () => {
    statement.run(name)
    return name
  }
}

const namesIn = (journal: Journal): unknown[] =>
  journal
    .statement('SELECT name FROM topic ORDER BY id')
    .all()
    .map(({ name }) => name)

suite('openJournal()', () => {
  test('write() shares one transaction among what comes at about the same time', () =>
    withJournal(async (journal) => {
      let commits = 0
      journal.observe({ committed: () => void commits++ })
      const names = Array.from({ length: 200 }, (_, at) => `t${at}`)
      const written = await Promise.all(names.map((name) => journal.write(insert(journal, name))))
      assert.deepEqual(written, names)
      assert.deepEqual(namesIn(journal), names)
      assert.equal(commits, 1)
    }))

  test('write() is durable when it resolves: another connection sees it', () =>
    withJournal(async (journal, file) => {
      const other = openJournal({ file })
      const before = other.version()
      for (const name of ['a', 'b', 'c']) {
        await journal.write(insert(journal, name))
        assert.equal(namesIn(other).at(-1), name)
      }
      assert.notEqual(other.version(), before, 'the version tells of writes by others')
      const own = journal.version()
      await journal.write(insert(journal, 'd'))
      assert.equal(journal.version(), own, 'and not of our own')
      await other.close()
    }))

  test('write() isolates work that throws from its neighbours', () =>
    withJournal(async (journal) => {
      const broken = new TypeError('a bug')
      const refusal = new NightjarError('input_invalid', 'Cannot take it: no')
      const settled = await Promise.allSettled([
        journal.write(insert(journal, 'a')),
        journal.write((db) => {
          db.exec("INSERT INTO topic (name) VALUES ('half')")
          throw broken
        }),
        journal.write(insert(journal, 'b')),
        journal.write(insert(journal, 'a')),
        journal.write(() => {
          throw refusal
        }),
        journal.write(insert(journal, 'c')),
      ])
      assert.deepEqual(
        settled.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'rejected', 'fulfilled'],
      )
      assert.deepEqual(namesIn(journal), ['a', 'b', 'c'])
      const [, bug, , twice, refused] = settled as PromiseRejectedResult[]
      assert.equal(bug?.reason.code, 'publish_failed')
      assert.equal(bug?.reason.cause, broken)
      assert.match(twice?.reason.message, /^Cannot write to journal ".*": UNIQUE constraint failed/)
      assert.equal(refused?.reason, refusal, 'an error of ours is not wrapped')
    }))

  test('write() is not done again where an observer throws after its commit', () =>
    withJournal(async (journal, file) => {
      const module = resolve(import.meta.dirname, '../../local/journal.ts')
      const script = `
        const { openJournal } = await import(${JSON.stringify(module)})
        const journal = openJournal({ file: process.argv[1] })
        process.on('uncaughtException', ({ message }) => console.log('uncaught: ' + message))
        journal.observe({ committed() { throw new Error('a reader fails') } })
        const insert = journal.statement('INSERT INTO topic (name) VALUES (?)')
        await Promise.all(['a', 'b'].map((name) => journal.write(() => insert.run(name))))
        console.log('written')`
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script, file], {
        encoding: 'utf8',
      })
      assert.deepEqual(stdout.trim().split('\n').sort(), ['uncaught: a reader fails', 'written'])
      assert.deepEqual(namesIn(journal), ['a', 'b'])
    }))

  test('write() does not wait for company when there is enough to do', () =>
    withJournal(
      async (journal) => {
        const began = performance.now()
        await Promise.all(['a', 'b'].map((name) => journal.write(insert(journal, name), 600)))
        assert.ok(performance.now() - began < 5000)
        await journal.close()
        await assert.rejects(journal.write(insert(journal, 'c')), {
          code: 'publish_failed',
          message: /^Cannot write to journal ".*": it is closed$/,
        })
      },
      { lingerMs: 60_000, fullBytes: 1000 },
    ))

  test('close() writes what waits', async () => {
    const folder = temporaryFolder()
    const file = join(folder.path, 'journal.sqlite')
    const journal = openJournal({ file, lingerMs: 60_000 })
    const written = journal.write(insert(journal, 'waits'))
    await journal.close()
    assert.equal(await written, 'waits')
    const again = openJournal({ file })
    assert.deepEqual(namesIn(again), ['waits'])
    await again.close()
    folder.remove()
  })

  test('a file that is no journal is refused in one sentence', () => {
    const folder = temporaryFolder()
    const file = join(folder.path, 'journal.sqlite')
    writeFileSync(file, 'not a database, whatever its name says '.repeat(50))
    assert.throws(() => openJournal({ file }), {
      code: 'home_unusable',
      message: `Cannot open the journal "${file}": file is not a database; see that the folder can be written to and its disk is not full`,
    })
    assert.throws(() => openJournal({ file: join(folder.path, 'no/such/folder/j') }), {
      code: 'home_unusable',
    })
    folder.remove()
  })
})
