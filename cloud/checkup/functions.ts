/** The functions of an instance, as Cloud Functions says they are: alive, bounded, of the bundles at hand. */
import { functionName, type Instance } from '../../core/names.ts'
import { filterReadersOf, readersOf } from '../../core/pipeline.ts'
import { openRest } from '../rest.ts'
import { failed, findingOf, stack, type Finding, type Place, type Wrong } from './finding.ts'

export interface FunctionsOptions {
  at: Instance
  /** By reader, the file name of its bundle here, which holds the hash of its content. */
  bundles: ReadonlyMap<string, string>
  /** `host:port` of what stands in for the service. */
  emulator?: string
  timeoutMs?: number
}

/** What is read of a function (REST reference of Cloud Functions v2, projects.locations.functions). */
interface FoundFunction {
  name?: string
  state?: string
  stateMessages?: { message?: string }[]
  buildConfig?: { runtime?: string; source?: { storageSource?: { object?: string } } }
  serviceConfig?: {
    maxInstanceCount?: number
    maxInstanceRequestConcurrency?: number
    timeoutSeconds?: number
    availableMemory?: string
    ingressSettings?: string
    environmentVariables?: Record<string, string>
  }
}

interface Page {
  functions?: FoundFunction[]
  nextPageToken?: string
}

const runtime = 'nodejs24'

/** Look at the function of each reader, wherever it runs. */
export async function* checkFunctions(
  { at, bundles, emulator, timeoutMs = 30_000 }: FunctionsOptions,
  places: Place[],
): AsyncGenerator<Finding> {
  const { project } = at
  const ask = openRest({
    project,
    service: 'https://cloudfunctions.googleapis.com',
    scope: 'https://www.googleapis.com/auth/cloud-platform',
    ...(emulator !== undefined && { emulator }),
  })
  const found = new Map<string, FoundFunction>()
  try {
    for (let token = ''; ;) {
      const path = `/v2/projects/${project}/locations/-/functions?pageSize=1000&pageToken=${token}`
      const { functions = [], nextPageToken = '' } = await ask<Page>({ path, timeoutMs })
      for (const one of functions) found.set(one.name?.split('/').at(-1) ?? '', one)
      token = nextPageToken
      if (token === '') break
    }
  } catch (error) {
    const what = `functions`
    yield failed('functions', error, { project, what, role: 'roles/cloudfunctions.viewer' })
    return
  }
  const optional = filterReadersOf(at.survey).filter(({ name }) =>
    found.has(functionName(at, name)),
  )
  for (const { name: reader, stages } of [...readersOf(at.survey), ...optional]) {
    const name = functionName(at, reader)
    const thing = `function ${name}`
    const one = found.get(name)
    if (one === undefined) {
      const served = stages.join(' and ')
      const said = `not deployed: ${served} run only where "nightjar run --cloud" does, or ${stack}`
      yield { thing, state: 'note', said }
      continue
    }
    const region = /\/locations\/([^/]+)\//.exec(one.name ?? '')?.[1] ?? ''
    places.push({ thing, region })
    const { maxInstanceCount = 0, availableMemory = '?' } = one.serviceConfig ?? {}
    const well = `active in ${region}, at most ${maxInstanceCount} instances of ${availableMemory}`
    yield findingOf(thing, faultsOfFunction(one, at, bundles.get(reader)), well)
  }
}

/** What is wrong with how a function is deployed; `bundle` is the one at hand, if there is one. */
export function faultsOfFunction(
  found: FoundFunction,
  at: Instance,
  bundle: string | undefined,
): Wrong[] {
  const wrong: Wrong[] = []
  const say = (state: Wrong['state'], said: string): void => void wrong.push({ state, said })
  const { state, stateMessages = [], buildConfig, serviceConfig = {} } = found
  if (state !== 'ACTIVE') {
    const why = stateMessages.map(({ message }) => message).join('; ')
    say(
      'fault',
      `its state is ${String(state)}${why && ` (${why})`}: see its build log, and deploy it again`,
    )
  }
  if (buildConfig?.runtime !== runtime) {
    say(
      'fault',
      `it runs on ${String(buildConfig?.runtime)}, its bundle is made for ${runtime}: ${redeploy}`,
    )
  }
  const deployed = buildConfig?.source?.storageSource?.object?.split('/').at(-1)
  if (bundle !== undefined && deployed !== undefined && deployed !== bundle) {
    say('note', `it runs ${deployed}, here is ${bundle}: ${redeploy}`)
  }
  const { maxInstanceCount = 0, maxInstanceRequestConcurrency = 1, ingressSettings } = serviceConfig
  if (maxInstanceCount === 0) {
    const why = 'a burst then costs without a bound, and a bucket begins with 1,000 writes a second'
    say('note', `it has no maximum of instances: ${why}; set max_instances`)
  }
  if (maxInstanceRequestConcurrency < 2) {
    say('note', 'it takes one message at a time, and waits through each at full price: allow 16')
  }
  if (ingressSettings !== 'ALLOW_INTERNAL_ONLY') {
    say(
      'note',
      `it can be called from anywhere (${String(ingressSettings)}): Pub/Sub needs internal ingress alone`,
    )
  }
  const env = serviceConfig.environmentVariables ?? {}
  const wanted = {
    GOOGLE_CLOUD_PROJECT: at.project,
    NIGHTJAR_SURVEY: at.survey,
    NIGHTJAR_INSTANCE: at.instance ?? '',
  }
  for (const [name, value] of Object.entries(wanted)) {
    if ((env[name] ?? '') === value) continue
    say('fault', `its ${name} is "${env[name] ?? ''}" and must be "${value}": ${redeploy}`)
  }
  return wrong
}

const redeploy = 'run "make bundle" and apply the stack of infra/'
