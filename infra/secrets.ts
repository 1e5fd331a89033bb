/** Where the consumer's secrets will be. Only the containers: what goes in never passes through here. */
import { SecretManagerSecretIamMember } from '@cdktf/provider-google/lib/secret-manager-secret-iam-member/index.js'
import { SecretManagerSecret } from '@cdktf/provider-google/lib/secret-manager-secret/index.js'

import { secretName } from '../core/names.ts'
import { guarded, type SurveyContext } from './context.ts'
import { memberOf, type Accounts } from './identities.ts'

export const secrets = ['krb5-conf', 'krb5-keytab', 'scram'] as const

/** Kerberos and SCRAM; the conductor asks Kafka for its offsets, so it reads them, too. */
export function addSecrets(
  { stack, at, config, labels }: SurveyContext,
  { consumer, conductor }: Accounts,
): void {
  for (const word of secrets) {
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
      new SecretManagerSecretIamMember(stack, `${at.survey}-${word}-to-${who}`, {
        secretId: secret.secretId,
        role: 'roles/secretmanager.secretAccessor',
        member: memberOf(account),
      })
    }
  }
}
