/**
 * What of the logs is not kept. Cloud Run writes a line of a kilobyte for each request, which for a million
 * alerts would cost as much as their computing; of those that went well the ledger has an event each, and
 * Monitoring has their numbers. What went wrong is kept.
 */
import { LoggingProjectExclusion } from '@cdktf/provider-google/lib/logging-project-exclusion/index.js'

import { functionName, sharedName } from '../core/names.ts'
import { titleOf, type SurveyContext } from './context.ts'

export function excludeLogs({ stack, at, config, readers }: SurveyContext): void {
  const names: string[] = readers.map(({ name }) => name)
  if (config.conductor[at.survey] === 'function') names.push('conductor')
  const services = names.map((name) => `"${functionName(at, name)}"`)
  new LoggingProjectExclusion(stack, `exclusion-${at.survey}-requests`, {
    name: sharedName(config, `${at.survey}-requests`),
    description: titleOf(at, 'requests that were answered well'),
    filter: [
      'resource.type = "cloud_run_revision"',
      `resource.labels.service_name = (${services.join(' OR ')})`,
      `log_id("run.googleapis.com/requests")`,
      'httpRequest.status < 300',
    ].join(' AND '),
  })
}
