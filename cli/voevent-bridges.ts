/** Alerts of the home's topics, named filters' among them, written as VOEvents and taken in by the gateway like any other. */
import { occurrenceOf } from '../core/alert.ts'
import { redeem } from '../core/claim.ts'
import { isPermanent, NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { archiveName, isFilterTopic, topicName } from '../core/names.ts'
import { topicsOf } from '../core/pipeline.ts'
import type { Delivery, Store, Subscription } from '../core/ports.ts'
import { fromZtf, type Forecast, type FromZtf } from '../gateways/voevent/from-ztf.ts'
import { bridge, type Gateway } from '../gateways/voevent/gateway.ts'
import { startReaders, type Ground, type Reader } from '../local/broker.ts'
import { readAlertWithoutCutouts } from '../schemas/alert.ts'

export interface BridgesOptions {
  ground: Ground
  /** Topics by their names, `ztf_exgalac_trans`. */
  alerts: readonly string[]
  /** Of the gateway: part of its subscriptions' names. */
  name: string
  localIvo: string
  gateway: Gateway
  subscribeAs(name: string, topic: string): Promise<Subscription>
  log: Log
}

const alertWords = ['alert_data', 'exgalac_trans', 'salt2'] as const
type AlertWord = (typeof alertWords)[number]
const isAlertWord = (word: string): word is AlertWord => alertWords.some((one) => one === word)

export async function startBridges(options: BridgesOptions): Promise<{ close(): Promise<void> }> {
  const { ground, alerts, name, localIvo, gateway, subscribeAs, log } = options
  if (localIvo === '') {
    throw new NightjarError(
      'config_invalid',
      'Cannot write alerts as VOEvents: --local-ivo is needed',
    )
  }
  const claims = await ground.bucket('broker_files')
  const archive = await ground.bucket('alert_avro_bucket')
  const words = topicsOf(ground.at.survey)

  /** What an event is made of; `undefined` for a fit that foretells nothing. */
  async function alertOf(
    delivery: Delivery,
    word: AlertWord,
  ): Promise<Pick<FromZtf, 'record' | 'forecast' | 'extragalactic'> | undefined> {
    if (word === 'salt2') {
      const forecast = forecastIn(delivery.data)
      return (
        forecast && { record: await archived(archive, delivery), forecast, extragalactic: true }
      )
    }
    const { data } = await redeem(delivery, claims)
    return { record: readAlertWithoutCutouts(data).record, extragalactic: word === 'exgalac_trans' }
  }

  const readers: Reader[] = []
  for (const topic of alerts) {
    const known = words.find((one) => topicName(ground.at, one) === topic)
    const named = isFilterTopic(ground.at, topic) && ground.messages.topicNames().includes(topic)
    const word = named ? 'alert_data' : known
    if (word === undefined || !isAlertWord(word)) {
      const usual = alertWords.map((one) => topicName(ground.at, one))
      throw new NightjarError(
        'config_invalid',
        `Cannot write the alerts of "${topic}" as VOEvents: topics of alerts are ${usual.join(', ')}, ` +
          'and those of named filters, once they are added',
      )
    }
    readers.push({
      name: topic,
      subscription: await subscribeAs(`${topic}-voevent-${name}`, topic),
      maxMessages: 100,
      async onDelivery(delivery) {
        try {
          const alert = await alertOf(delivery, word)
          if (alert === undefined) return
          // The message's own time, so that the same alert delivered again is the same event.
          const event = fromZtf({ ...alert, localIvo, at: delivery.publishedAt })
          await bridge(gateway.admission, event, topic)
        } catch (error) {
          if (!isPermanent(error)) throw error
          log('voevent_refused', { peer: topic, reason: sentenceOf(error) })
        }
      },
    })
  }
  return startReaders(readers, log)
}

/** What a fit that is to be relied on says of the maximum: r, or else what band there is. */
function forecastIn(data: Uint8Array): Forecast | undefined {
  const row = rowIn(data)
  const number = (name: string): number | undefined => {
    const value = row[name]
    return typeof value === 'number' ? value : undefined
  }
  // A forecast leaves the redshift free; once the maximum is past, the fit itself knows better.
  const kind = number('forecast_mjd') === undefined ? 'peak' : 'forecast'
  const mjd = number(`${kind}_mjd`)
  const mjdError = number(`${kind}_mjd_err`)
  if (row['success'] !== 1) return undefined
  if (mjd === undefined || mjdError === undefined) return undefined
  for (const band of ['r', 'g', 'i']) {
    const value = number(`${kind}_mag_${band}`)
    const error = number(`${kind}_mag_${band}_err`)
    if (value !== undefined && error !== undefined)
      return { mjd, mjdError, magnitude: { band, value, error } }
  }
  return { mjd, mjdError }
}

/** The packet that a fit was asked for by. The archive works beside us: what is not there yet will be. */
async function archived(
  archive: Store,
  { data, attributes }: Delivery,
): Promise<FromZtf['record']> {
  const row = rowIn(data)
  const { topic } = occurrenceOf(attributes)
  const name = archiveName(topic, String(row['objectId']), BigInt(String(row['candid'])))
  const found = await archive.read(name)
  if (found !== null) return readAlertWithoutCutouts(found.data).record
  throw new NightjarError('store_failed', `Cannot find "${name}" in the archive yet`)
}

/** A fit as it is on its topic: flat JSON, 64-bit numbers as text. */
function rowIn(data: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return { ...(JSON.parse(Buffer.from(data).toString()) as object) }
  } catch (cause) {
    throw new NightjarError('input_invalid', `Cannot read a fit: ${sentenceOf(cause)}`, { cause })
  }
}
