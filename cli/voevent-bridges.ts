/** Alerts of the home's topics, written as VOEvents and taken in by the gateway like any other. */
import { redeem } from '../core/claim.ts'
import { isPermanent, NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { topicName } from '../core/names.ts'
import { topicsOf } from '../core/pipeline.ts'
import type { Subscription } from '../core/ports.ts'
import { fromZtf } from '../gateways/voevent/from-ztf.ts'
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

export async function startBridges(options: BridgesOptions): Promise<{ close(): Promise<void> }> {
  const { ground, alerts, name, localIvo, gateway, subscribeAs, log } = options
  if (localIvo === '') {
    throw new NightjarError(
      'config_invalid',
      'Cannot write alerts as VOEvents: --local-ivo is needed',
    )
  }
  const claims = await ground.bucket('broker_files')
  const words = topicsOf(ground.at.survey)
  const readers: Reader[] = []
  for (const topic of alerts) {
    const word = words.find((one) => topicName(ground.at, one) === topic)
    if (word !== 'alert_data' && word !== 'exgalac_trans') {
      const known = [topicName(ground.at, 'alert_data'), topicName(ground.at, 'exgalac_trans')]
      throw new NightjarError(
        'config_invalid',
        `Cannot write the alerts of "${topic}" as VOEvents: topics of alerts are ${known.join(', ')}`,
      )
    }
    readers.push({
      name: topic,
      subscription: await subscribeAs(`${topic}-voevent-${name}`, topic),
      maxMessages: 100,
      async onDelivery(delivery) {
        try {
          const { data } = await redeem(delivery, claims)
          const { record } = readAlertWithoutCutouts(data)
          // The message's own time, so that the same alert delivered again is the same event.
          const at = delivery.publishedAt
          const event = fromZtf({ record, localIvo, at, extragalactic: word === 'exgalac_trans' })
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
