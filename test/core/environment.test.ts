import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseEnvironment } from '../../core/environment.ts'

test('parseEnvironment() reads project, survey, instance and emulators', () => {
  assert.deepEqual(
    parseEnvironment({
      GOOGLE_CLOUD_PROJECT: 'my-project',
      NIGHTJAR_SURVEY: 'lsst',
      NIGHTJAR_INSTANCE: 'rc1',
      PUBSUB_EMULATOR_HOST: '127.0.0.1:8085',
      STORAGE_EMULATOR_HOST: 'http://localhost:4443/',
    }),
    {
      at: { project: 'my-project', survey: 'lsst', instance: 'rc1' },
      emulators: { pubsub: '127.0.0.1:8085', storage: 'localhost:4443' },
    },
  )
  assert.deepEqual(parseEnvironment({ GOOGLE_CLOUD_PROJECT: 'example.com:my-project' }), {
    at: { project: 'example.com:my-project', survey: 'ztf' },
    emulators: {},
  })
})

test('parseEnvironment() tells every fault at once', () => {
  const env = {
    GOOGLE_CLOUD_PROJECT: 'My Project',
    NIGHTJAR_SURVEY: 'sdss',
    NIGHTJAR_INSTANCE: 'RC1',
    PUBSUB_EMULATOR_HOST: 'somewhere',
  }
  assert.throws(() => parseEnvironment(env), {
    code: 'config_invalid',
    message:
      'Cannot read the environment: GOOGLE_CLOUD_PROJECT "My Project" is no project id; survey "sdss": ' +
      'known are ztf and lsst; instance "RC1": it must be a letter and up to 14 letters or digits, ' +
      'lower case; PUBSUB_EMULATOR_HOST "somewhere" is no host:port',
  })
  assert.throws(() => parseEnvironment({}), {
    message: 'Cannot read the environment: GOOGLE_CLOUD_PROJECT is not set',
  })
})
