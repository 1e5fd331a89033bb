/** Buckets of an instance: there, allowed, closed to the public, and announced. */
import { bucketName, topicName, type BucketWord, type Instance } from '../../core/names.ts'
import { noticeTopics } from '../../core/pipeline.ts'
import type { Stores } from '../stores.ts'
import { failed, findingOf, held, lacking, stack, type Finding, type Place } from './finding.ts'

const buckets: readonly BucketWord[] = ['alert_avro_bucket', 'broker_files', 'sncosmo']

/** A packet is never replaced; to replace an object is to delete what it was (Cloud Storage docs, "IAM permissions"). */
const replaced: ReadonlySet<BucketWord> = new Set(['broker_files', 'sncosmo'])

/** Look at each bucket and its notices; tells where the buckets are. */
export async function* checkBuckets(
  { storage, project }: Stores,
  at: Instance,
  emulated: boolean,
  places: Place[],
): AsyncGenerator<Finding> {
  for (const word of buckets) {
    const name = bucketName(at, word)
    const thing = `bucket ${name}`
    const what = `bucket "${name}"`
    try {
      const bucket = storage.bucket(name)
      const [{ iamConfiguration, location = '' }] = await bucket.getMetadata()
      if (emulated) yield findingOf(thing, [], 'there')
      else {
        places.push({ thing, region: location })
        const wanted = ['create', 'get', 'list', ...(replaced.has(word) ? ['delete'] : [])]
        const asked = wanted.map((verb) => `storage.objects.${verb}`)
        const role = 'roles/storage.objectUser'
        const wrong = await lacking(asked, { what, role }, async (permissions) =>
          held(await bucket.iam.testPermissions(permissions)),
        )
        if (iamConfiguration?.publicAccessPrevention !== 'enforced') {
          wrong.push({ state: 'note', said: 'public access is not prevented: enforce it' })
        }
        yield findingOf(thing, wrong, `there, in ${location.toLowerCase()}`)
      }
      const notice = noticeTopics[word]
      if (notice === undefined) continue
      const topic = topicName(at, notice)
      const [notifications] = await bucket.getNotifications()
      const there = notifications.some(({ metadata }) => metadata?.topic?.endsWith(`/${topic}`))
      yield there
        ? { thing: `notices of ${name}`, state: 'ok', said: `on ${topic}` }
        : {
            thing: `notices of ${name}`,
            state: emulated ? 'note' : 'fault',
            said: `new objects are not announced on ${topic}: ${stack}`,
          }
    } catch (error) {
      yield failed(thing, error, { project, what, role: 'roles/storage.legacyBucketReader' })
    }
  }
}
