import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  alertTableName,
  archiveBesideName,
  archiveName,
  bucketName,
  datasetName,
  groupId,
  kafkaTopicName,
  parseInstance,
  parseSurvey,
  subscriptionName,
  topicName,
  type Instance,
} from '../../core/names.ts'

const production: Instance = { survey: 'ztf', project: 'proj' }
const test1: Instance = { survey: 'lsst', project: 'proj', instance: 'rc1' }

test('resources of production have the names that users know, without suffix', () => {
  assert.equal(topicName(production, 'alert_data'), 'ztf_alert_data')
  assert.equal(topicName(production, 'exgalac_trans'), 'ztf_exgalac_trans')
  assert.equal(subscriptionName(production, 'alert_data', 'archive'), 'ztf_alert_data-archive')
  assert.equal(bucketName(production, 'alert_avro_bucket'), 'proj_ztf_alert_avro_bucket')
  assert.equal(bucketName(production, 'broker_files'), 'proj-broker_files')
  assert.equal(bucketName(production, 'sncosmo'), 'proj_ztf-sncosmo')
  assert.equal(datasetName(production), 'ztf_alerts')
  assert.equal(groupId(production), 'nightjar-ztf-production')
  assert.equal(groupId(production, 'pitt'), 'pitt-nightjar-ztf-production')
})

test('every resource of a test instance carries its name', () => {
  assert.equal(topicName(test1, 'alert_data'), 'lsst_alert_data-rc1')
  assert.equal(subscriptionName(test1, 'ledger', 'table'), 'lsst_ledger-rc1-table')
  assert.equal(bucketName(test1, 'alert_avro_bucket'), 'proj_lsst_alert_avro_bucket-rc1')
  assert.equal(bucketName(test1, 'broker_files'), 'proj-broker_files-rc1')
  assert.equal(bucketName(test1, 'sncosmo'), 'proj_lsst-sncosmo-rc1')
  assert.equal(datasetName(test1), 'lsst_alerts_rc1')
  assert.equal(groupId(test1), 'nightjar-lsst-rc1')
})

test('parseInstance() takes what may be part of every name, and names what it refuses', () => {
  for (const name of ['rc1', 'a', 'abcdefghijklmno']) assert.equal(parseInstance(name), name)
  for (const name of ['', '1rc', 'RC1', 'rc-1', 'rc_1', 'abcdefghijklmnop', 'é', 'rc1\n']) {
    assert.throws(() => parseInstance(name), {
      code: 'config_invalid',
      message: `Cannot take instance "${name}": it must be a letter and up to 14 letters or digits, lower case`,
    })
  }
})

test('parseSurvey() knows ztf and lsst', () => {
  assert.equal(parseSurvey('lsst'), 'lsst')
  assert.throws(() => parseSurvey('ZTF'), {
    code: 'config_invalid',
    message: 'Cannot take survey "ZTF": known are ztf and lsst',
  })
})

test('names of a night and of its alerts', () => {
  assert.equal(kafkaTopicName('ztf', '20261121'), 'ztf_20261121_programid1')
  assert.equal(kafkaTopicName('lsst', '20261121'), 'lsst_20261121')
  assert.equal(alertTableName('4.02'), 'alerts_v4_02')
  assert.equal(alertTableName('7.4-rc'), 'alerts_v7_4_rc')
  assert.equal(alertTableName(undefined), 'alerts_unversioned')
  const candid = 2_345_678_901_234_567_890n
  assert.equal(archiveName('t', 'ZTF21abc', candid), 't/ZTF21abc/2345678901234567890.avro')
  assert.equal(
    archiveBesideName('t', 'ZTF21abc', candid, 0xbeef),
    't/ZTF21abc/2345678901234567890.0000beef.avro',
  )
})
