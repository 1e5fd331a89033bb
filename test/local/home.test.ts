import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { suite, test } from 'node:test'

import { homeAt, makeHome, runningBroker, takeHome } from '../../local/home.ts'
import { temporaryFolder } from './home.ts'

function withFolder(run: (folder: string) => void): void {
  const folder = temporaryFolder()
  try {
    run(folder.path)
  } finally {
    folder.remove()
  }
}

suite('makeHome()', () => {
  test('makes the folders that are not there, and takes those that are', () =>
    withFolder((folder) => {
      const path = join(folder, 'a/b')
      assert.equal(makeHome(path).path, path)
      assert.ok(existsSync(join(path, 'buckets')))
      assert.deepEqual(makeHome(path), homeAt(path))
    }))

  test('names the folder where there can be none', () =>
    withFolder((folder) => {
      const path = join(folder, 'file')
      writeFileSync(path, '')
      assert.throws(() => makeHome(path), {
        code: 'home_unusable',
        message: new RegExp(`^Cannot use "${path}" as home: .*; choose another with --home$`),
      })
    }))

  test('names a folder that may not be written to', () =>
    withFolder((folder) => {
      const path = join(folder, 'read-only')
      mkdirSync(path)
      chmodSync(folder, 0o755)
      chmodSync(path, 0o555)
      // The administrator may write everywhere, so somebody else has to try.
      const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
      const module = resolve(import.meta.dirname, '../../local/home.ts')
      const script = `import(${JSON.stringify(module)})
        .then(({ makeHome }) => makeHome(process.argv[1]))
        .catch(({ code, message }) => console.log(code + ' ' + message))`
      const { stdout, stderr } = spawnSync(process.execPath, ['-e', script, path], {
        encoding: 'utf8',
        ...nobody,
      })
      assert.equal(stderr, '')
      assert.match(stdout, new RegExp(`^home_unusable Cannot use "${path}" as home: EACCES`))
      chmodSync(path, 0o755)
    }))
})

suite('takeHome()', () => {
  test('tells others who runs there, until it is given up', () =>
    withFolder((folder) => {
      const home = makeHome(folder)
      assert.equal(runningBroker(home), undefined)
      const release = takeHome(home)
      assert.equal(runningBroker(home), process.pid)
      assert.equal(readFileSync(join(folder, 'run.pid'), 'utf8').split('\n')[0], `${process.pid}`)
      const module = resolve(import.meta.dirname, '../../local/home.ts')
      const script = `import(${JSON.stringify(module)})
        .then(({ homeAt, takeHome }) => takeHome(homeAt(process.argv[1])))
        .catch(({ code, message }) => console.log(code + ' ' + message))`
      const { stdout } = spawnSync(process.execPath, ['-e', script, folder], { encoding: 'utf8' })
      assert.equal(
        stdout,
        `home_busy Cannot run in "${folder}": process ${process.pid} does already; ` +
          'stop it or choose another --home\n',
      )
      release()
      assert.equal(runningBroker(home), undefined)
      assert.ok(!existsSync(join(folder, 'run.pid')))
    }))

  test('takes over from a broker that is gone, whatever it left', () =>
    withFolder((folder) => {
      const home = makeHome(folder)
      const mine = process.pid
      // Cut short by a full disk, not a number, another process with our pid, one that is gone.
      const left = ['', '\n', 'x\ny\n', '0\n0\n', '-1\n-1\n', `${mine}\n`, `${mine}\n${mine}\n`]
      for (const text of [...left, `1\n${2 ** 22 - 1}\n`]) {
        writeFileSync(join(folder, 'run.pid'), text)
        assert.equal(runningBroker(home), undefined, JSON.stringify(text))
        takeHome(home)()
      }
    }))
})
