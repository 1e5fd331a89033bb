/** Where the machines' secrets will be. Only the containers: what goes in never passes through here. */
import { SecretManagerSecretIamMember } from '@cdktf/provider-google/lib/secret-manager-secret-iam-member/index.js'
import { SecretManagerSecret } from '@cdktf/provider-google/lib/secret-manager-secret/index.js'

import { secretName, secretWords, type SecretWord } from '../core/names.ts'
import { guarded, type SurveyContext } from './context.ts'
import { memberOf, type Accounts } from './identities.ts'
import type { Streams } from './streams.ts'

/** What only the conductor tells others by. */
const conductors: readonly SecretWord[] = ['webhook', 'mail']

/** The grants of what the conductor reads, by the secret's word: whoever mounts one waits for its grant. */
export type ConductorSecrets = ReadonlyMap<SecretWord, SecretManagerSecretIamMember>

/**
 * Kerberos, SCRAM and whom to tell; the conductor asks Kafka for its offsets, so its machine reads all. A
 * function reads those that it is given and no other.
 */
export function addSecrets(
  { stack, at, config, labels }: SurveyContext,
  { consumer, conductor }: Accounts,
  streams: Streams,
): ConductorSecrets {
  const given = streams.get(at.survey)?.secrets.conductor ?? []
  const granted = new Map<SecretWord, SecretManagerSecretIamMember>()
  for (const word of secretWords) {
    const secret = new SecretManagerSecret(stack, `secret-${at.survey}-${word}`, {
      secretId: secretName(at, word),
      labels,
      replication: { userManaged: { replicas: [{ location: config.region }] } },
      ...guarded(config),
    })
    for (const [who, account] of [
      ['consumer', consumer],
      ['conductor', conductor],
    ] as const) {
      if (who === 'consumer' && conductors.includes(word)) continue
      const byFunction = who === 'conductor' && config.conductor[at.survey] === 'function'
      if (byFunction && !given.includes(word)) continue
      const grant = new SecretManagerSecretIamMember(stack, `${at.survey}-${word}-to-${who}`, {
        secretId: secret.secretId,
        role: 'roles/secretmanager.secretAccessor',
        member: memberOf(account),
      })
      if (who === 'conductor') granted.set(word, grant)
    }
  }
  return granted
}
