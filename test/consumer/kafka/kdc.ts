/** A real MIT KDC on a free port of this machine, with a realm of its own in a temporary folder. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { skipWithout } from '../../data.ts'
import { freePorts } from './broker.ts'

/** The `skip` option of a test that needs a KDC. */
export const skipWithoutKdc = skipWithout('/usr/sbin/krb5kdc', 'run make peers')

/** Shifts the clock of one process, not of the machine. */
export const fakeTime = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1'

export interface Kdc {
  realm: string
  folder: string
  /** krb5.conf for clients and brokers. */
  krb5Config: string
  /** Another krb5.conf, with lines added to `[libdefaults]`. */
  configWith(name: string, lines: readonly string[]): string
  /** Make a principal with a random key and answer its keytab; `options` as of kadmin's addprinc. */
  keytabOf(principal: string, options?: readonly string[]): string
  /** One command of kadmin. */
  kadmin(query: string): void
  /** Fill a ticket cache as `kinit` does; answers its file. */
  kinit(keytab: string, principal: string, life: string): string
  start(shift?: string): Promise<void>
  halt(): Promise<void>
  stop(): Promise<void>
}

/** Start a KDC; `shift` moves its clock, as `+1h`. */
export async function startKdc(realm = 'KAFKA.SECURE'): Promise<Kdc> {
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-kdc-'))
  const [port = 0] = await freePorts(1)
  const krb5Config = configWith('krb5.conf', [])
  const kdcConfig = join(folder, 'kdc.conf')
  writeFileSync(
    kdcConfig,
    `[kdcdefaults]
 kdc_listen = 127.0.0.1:${port}
 kdc_tcp_listen = 127.0.0.1:${port}
[realms]
 ${realm} = {
  database_name = ${join(folder, 'principal')}
  key_stash_file = ${join(folder, 'stash')}
  acl_file = ${join(folder, 'kadm5.acl')}
  supported_enctypes = aes256-cts:normal aes128-cts:normal
 }
[logging]
 kdc = FILE:${join(folder, 'kdc.log')}
`,
  )
  const env = {
    ...process.env,
    PATH: `${process.env['PATH']}:/usr/sbin`,
    KRB5_CONFIG: krb5Config,
    KRB5_KDC_PROFILE: kdcConfig,
  }
  const run = (file: string, words: readonly string[], more = {}): void => {
    execFileSync(file, words, { env: { ...env, ...more }, stdio: ['ignore', 'ignore', 'pipe'] })
  }
  run('kdb5_util', ['create', '-s', '-r', realm, '-P', 'of-no-importance'])
  let halt = async (): Promise<void> => {}
  await start()

  return {
    realm,
    folder,
    krb5Config,
    configWith,
    kadmin,
    start,
    halt: () => halt(),
    keytabOf(principal, options = []) {
      const keytab = join(folder, `${principal.replaceAll('/', '-')}.keytab`)
      kadmin(`addprinc -randkey ${options.join(' ')} ${principal}`)
      kadmin(`ktadd -k ${keytab} -norandkey ${principal}`)
      return keytab
    },
    kinit(keytab, principal, life) {
      const cache = join(folder, `cache-${life}`)
      run('kinit', ['-l', life, '-kt', keytab, principal], { KRB5CCNAME: `FILE:${cache}` })
      return cache
    },
    async stop() {
      await halt()
      rmSync(folder, { recursive: true, force: true })
    },
  }

  function kadmin(query: string): void {
    run('kadmin.local', ['-q', query])
  }

  function configWith(name: string, lines: readonly string[]): string {
    const path = join(folder, name)
    writeFileSync(
      path,
      `[libdefaults]
 default_realm = ${realm}
 dns_lookup_kdc = false
 dns_lookup_realm = false
 dns_canonicalize_hostname = false
 rdns = false
 udp_preference_limit = 1
${lines.map((line) => ` ${line}\n`).join('')}[realms]
 ${realm} = {
  kdc = 127.0.0.1:${port}
 }
[domain_realm]
 localhost = ${realm}
`,
    )
    return path
  }

  async function start(shift?: string): Promise<void> {
    const child = spawn('krb5kdc', ['-n'], {
      env: { ...env, ...(shift !== undefined && { LD_PRELOAD: fakeTime, FAKETIME: shift }) },
      stdio: 'ignore',
    })
    const ended = once(child, 'exit')
    const kill = (): void => void child.kill('SIGKILL')
    process.on('exit', kill)
    halt = async () => {
      kill()
      await ended
      process.off('exit', kill)
    }
    for (const begun = performance.now(); !(await answers(port));) {
      if (child.exitCode !== null || performance.now() - begun > 10_000) {
        throw new Error('Cannot start krb5kdc')
      }
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
}
