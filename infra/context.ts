/** What every part of the stack is built with. */
import type { TerraformStack } from 'cdktf'

import type { Instance, Survey } from '../core/names.ts'
import { filterReadersOf, readersOf, type AnyReader } from '../core/pipeline.ts'
import type { InfraConfig } from './config.ts'

export interface Context {
  stack: TerraformStack
  config: InfraConfig
}

/** The same, for one survey of the instance. */
export interface SurveyContext extends Context {
  at: Instance
  labels: Record<string, string>
  /** With those of the named filters where they are wanted. */
  readers: readonly AnyReader[]
}

export function contextOf({ stack, config }: Context, survey: Survey): SurveyContext {
  const { project, instance } = config
  const at: Instance = { survey, project, ...(instance !== undefined && { instance }) }
  const labels = { ...labelsOf(config), survey }
  return { stack, config, at, labels, readers: everyReaderOf(survey, config) }
}

/** The readers that a deployment has for a survey. */
export function everyReaderOf(
  survey: Survey,
  { filters }: Pick<InfraConfig, 'filters'>,
): AnyReader[] {
  return [...readersOf(survey), ...(filters ? filterReadersOf(survey) : [])]
}

/** Every resource that can carry labels carries these: a bill can be read by them. */
export function labelsOf({ instance }: InfraConfig): Record<string, string> {
  return { application: 'nightjar', instance: instance ?? 'production' }
}

/** What holds data that cannot be made again is never destroyed in production. */
export function guarded({ instance }: InfraConfig): { lifecycle: { preventDestroy: boolean } } {
  return { lifecycle: { preventDestroy: instance === undefined } }
}

/** What a person reads of a resource: `Nightjar ztf rc1: Kafka consumer`. */
export function titleOf(at: { survey?: string; instance?: string }, text: string): string {
  return `${['Nightjar', at.survey, at.instance].filter((word) => word !== undefined).join(' ')}: ${text}`
}

/** What a resource is called inside the stack; no user sees it. */
export const idOf = (...parts: readonly (string | number)[]): string => parts.join('-')

export const seconds = (days: number): string => `${days * 86_400}s`
