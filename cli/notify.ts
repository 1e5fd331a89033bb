/** How a person is reached: a webhook, and mail by SMTP. */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'

import type { Channel, Notice } from '../conductor/notices.ts'
import type { ConductorSettings, MailSettings } from '../conductor/settings.ts'
import { readSecret, type Secret } from '../consumer/secret.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Environment } from '../core/settings.ts'

/** The channels that the configuration asks for; none if it asks for none. */
export function openChannels({ webhook, mail }: ConductorSettings, env: Environment): Channel[] {
  return [
    ...(webhook === undefined ? [] : [webhookChannel(webhook, env)]),
    ...(mail === undefined ? [] : [mailChannel(mail, env)]),
  ]
}

/** How long a server may take for one step, milliseconds. */
const patienceMs = 15_000

function webhookChannel(webhook: Secret, env: Environment): Channel {
  return {
    name: 'webhook',
    async send({ text, survey, night, key }) {
      const url = await readSecret(webhook, env)
      // The address is a secret: it stands in no sentence.
      if (!URL.canParse(url)) throw refused('post', 'the webhook is no URL')
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text, survey, night, key }),
        signal: AbortSignal.timeout(patienceMs),
        redirect: 'error',
      })
      await answer.body?.cancel()
      if (!answer.ok) throw refused('post', `the webhook answers ${answer.status}`)
    },
  }
}

function mailChannel(mail: MailSettings, env: Environment): Channel {
  const { host, port, tls, from, to, ca, login } = mail
  return {
    name: 'mail',
    async send(notice, id) {
      const { createTransport } = await import('nodemailer')
      const transport = createTransport({
        host,
        port,
        secure: tls === 'tls',
        requireTLS: tls === 'starttls',
        ignoreTLS: tls === 'none',
        connectionTimeout: patienceMs,
        greetingTimeout: patienceMs,
        socketTimeout: patienceMs,
        // Nothing that came over the network may have a file or a URL read.
        disableFileAccess: true,
        disableUrlAccess: true,
        ...(ca !== undefined && { tls: { ca: await readFile(ca) } }),
        ...(login && {
          auth: { user: login.username, pass: await readSecret(login.password, env) },
        }),
      })
      try {
        await transport.sendMail({
          ...{ from, to, subject: notice.subject, text: `${notice.text}\n` },
          // The same at each attempt, so that a reader who gets it twice is shown it once.
          messageId: `<${createHash('sha256').update(id).digest('hex').slice(0, 32)}@nightjar>`,
          date: new Date(notice.at),
          // RFC 3834: nobody's holiday answers to it.
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Nightjar-Key': notice.key },
        })
      } catch (cause) {
        throw refused('mail', `${host}:${port}: ${sentenceOf(cause)}`, cause)
      } finally {
        transport.close()
      }
    },
  }
}

const refused = (how: 'post' | 'mail', why: string, cause?: unknown): NightjarError =>
  new NightjarError('publish_failed', `Cannot ${how} a notice: ${why}`, { cause })

/** What an alarm reads like. */
export const alarmNotice = (
  { survey, night }: Pick<Notice, 'survey' | 'night'>,
  { key, text, at }: { key: string; text: string; at: number },
): Notice => ({
  ...{ survey, night, key, text },
  at: new Date(at).toISOString(),
  subject: `Nightjar: ${survey} ${night}: ${key.replaceAll('_', ' ')}`,
})
