/** `nightjar check-certificate`: whether a server's certificate is about to end. */
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'

import { Command } from 'commander'

import {
  fetchCertificate,
  judgeCertificate,
  nameFields,
  type CertificateVerdict,
  type ShownCertificate,
} from '../control/certificate.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import { parseEndpoint } from '../gateways/endpoint.ts'
import type { World } from './world.ts'

interface CheckOptions {
  info?: boolean
  limit: number
  ca?: string
  trusted?: boolean
  json?: boolean
}

const timeoutMs = 20_000

/** The command. */
export function checkCertificateCommand(world: World): Command {
  return new Command('check-certificate')
    .description('See whether the certificate of a server is about to end.')
    .argument('<domain>', 'whose certificate; DOMAIN:PORT where it is not 443')
    .option('--info', 'print what the certificate says')
    .option('--limit <days>', 'how many days have to be left: 30, 30d, 8w, 6m or 1y', days, 14)
    .option('--trusted', 'a client has to believe it, too: its name and who signed it')
    .option('--ca <file>', 'with --trusted: also believe the authorities in this file, in PEM')
    .option('--json', 'print what the certificate says as JSON')
    .addHelpText(
      'after',
      `
The exit status is 0 if more days are left than the limit, and 1 if not or if no certificate can be
loaded. Without --trusted only its dates count; what a client would hold against it is said.

Examples:
  $ nightjar check-certificate voevent.example.org:8099 || mail -s expiring root < /dev/null
  $ nightjar check-certificate --info --limit 60 alerts.example.org`,
    )
    .action((domain: string, options: CheckOptions) => check(world, domain, options))
}

async function check(world: World, domain: string, options: CheckOptions): Promise<void> {
  const endpoint = parseEndpoint(domain, { host: '', port: 443 })
  if (endpoint.kind !== 'tcp' || endpoint.host === '') {
    throw new NightjarError(
      'config_invalid',
      `Cannot take domain "${domain}": write DOMAIN or DOMAIN:PORT`,
    )
  }
  const { host, port } = endpoint
  const authorities =
    options.ca === undefined ? undefined : [...rootCertificates, readAuthorities(options.ca)]
  const shown = await fetchCertificate({
    ...{ host, port, timeoutMs },
    ...(authorities !== undefined && { authorities }),
  })
  const verdict = judgeCertificate(shown.certificate, {
    now: world.now(),
    limitDays: options.limit,
  })
  if (options.json === true) world.out(`${JSON.stringify(factsOf(host, shown, verdict))}\n`)
  else if (options.info === true) world.out(formatInfo(host, shown, verdict))
  const { distrusted } = shown
  if (distrusted !== undefined) world.err(`nightjar: a client would refuse it: ${distrusted}\n`)
  if (!verdict.isGood) world.err(`nightjar: ${host}: ${sayWhy(verdict, options.limit)}\n`)
  if (!verdict.isGood || (options.trusted === true && distrusted !== undefined)) world.exit(1)
}

function sayWhy({ daysLeft, notBefore, notAfter }: CertificateVerdict, limit: number): string {
  if (daysLeft < 0) return `the certificate ended on ${stamp(notAfter)}`
  if (daysLeft > limit) return `the certificate is good only from ${stamp(notBefore)} on`
  return `the certificate ends in ${daysLeft.toFixed(1)} days, on ${stamp(notAfter)}`
}

/** `2026/11/21 18:00:00 UTC`, as the original writes it. */
const stamp = (date: Date): string =>
  `${date.toISOString().slice(0, 19).replaceAll('-', '/').replace('T', ' ')} UTC`

function formatInfo(
  host: string,
  { certificate: { issuer, subject } }: ShownCertificate,
  { notBefore, notAfter, daysLeft }: CertificateVerdict,
): string {
  const lines = [
    ['domain', host],
    ['not-before', stamp(notBefore)],
    ['not-after', stamp(notAfter)],
    ['days-left', daysLeft.toFixed(1)],
    ...nameFields(issuer).map(([name, value]) => [`issuer-${name}`, value]),
    ...nameFields(subject).map(([name, value]) => [`subject-${name}`, value]),
  ]
  return lines.map(([name, value]) => `${name}: ${value}\n`).join('')
}

function factsOf(
  domain: string,
  { certificate: { issuer, subject, subjectAltName }, distrusted }: ShownCertificate,
  { notBefore, notAfter, daysLeft, isGood }: CertificateVerdict,
): Record<string, unknown> {
  return {
    ...{ domain, good: isGood, days_left: daysLeft, distrusted: distrusted ?? null },
    ...{ not_before: notBefore.toISOString(), not_after: notAfter.toISOString() },
    issuer: Object.fromEntries(nameFields(issuer)),
    subject: Object.fromEntries(nameFields(subject)),
    names: subjectAltName ?? '',
  }
}

function readAuthorities(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new NightjarError('config_invalid', `Cannot read "${file}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
}

const unitDays: Readonly<Record<string, number>> = { d: 1, w: 7, m: 30, y: 365 }

function days(text: string): number {
  const [, number, unit = 'd'] = /^(\d+(?:\.\d+)?)([dwmy])?$/.exec(text) ?? []
  const found = Number(number) * (unitDays[unit] ?? NaN)
  if (found >= 1 && found <= 366) return found
  throw new NightjarError(
    'config_invalid',
    `Cannot take --limit "${text}": it must be days from 1 to 366, such as 30, 30d, 8w or 1y`,
  )
}
