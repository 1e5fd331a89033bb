/**
 * A machine of Compute Engine as far as its start-up script can tell: a metadata server, Secret Manager and
 * Cloud Storage (fake-gcs-server, a peer) on this one, and `/etc /opt /var/cache /run` of its own in a mount
 * namespace. `systemctl` only writes down what it is told.
 */
import { execFile, execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { startGcs, type Emulator } from '../cloud/emulators.ts'

export const repository = resolve(import.meta.dirname, '../..')
const bucket = 'my-project-broker_files'
const token = 'ya29.a-token'

/** Namespaces of mounts are for root. */
export function cannotUnshare(): false | string {
  try {
    execFileSync('unshare', ['--mount', 'true'], { stdio: 'ignore' })
    return false
  } catch {
    const reason = 'needs mount namespaces: run as root'
    if (process.env['CI'] === 'true') throw new Error(`Cannot run in CI: ${reason}`)
    return reason
  }
}

export interface Placed {
  /** Permission bits, octal. */
  mode: string
  user: string
  text: string
}

export interface Boot {
  status: number
  /** What the serial console would show. */
  said: string
  /** What systemctl was told, in order. */
  told: string[]
  /** Files below `/run/nightjar`, by their paths below it. */
  run: Map<string, Placed>
}

export interface Machine {
  attributes: Map<string, string>
  /** Secrets by name; its newest version. */
  secrets: Map<string, string | { status: number }>
  /** What Cloud Storage and Secret Manager were asked for since the last start, by path. */
  asked: string[]
  /** Upload a broker file; answers its line of NIGHTJAR_FILES. */
  upload(object: string, data: Uint8Array, word: string): Promise<string>
  /**
   * Start the machine; `twice` runs the script again while it is up, and `then` is what bash does on it
   * after that.
   */
  boot(options?: { twice?: boolean; then?: string }): Promise<Boot>
  /** A path of the machine's disk, as this one has it. */
  path(path: string): string
  close(): Promise<void>
}

export async function startMachine(): Promise<Machine> {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-vm-'))
  // The program's user comes by here.
  chmodSync(dir, 0o755)
  const gcs = await startGcs()
  await fetch(`http://${gcs.host}/storage/v1/b?project=my-project`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: bucket, versioning: { enabled: true } }),
  })
  const attributes = new Map<string, string>()
  const secrets: Machine['secrets'] = new Map()
  const asked: string[] = []
  const google = await startGoogle(gcs, attributes, secrets, asked)
  const { port } = google.address() as AddressInfo

  for (const folder of ['opt', 'var/cache', 'log', 'bin', 'tmp']) {
    mkdirSync(join(dir, folder), { recursive: true })
  }
  mkdirSync(join(dir, 'etc/systemd/system'), { recursive: true })
  for (const file of [
    'passwd',
    'group',
    'shadow',
    'gshadow',
    'login.defs',
    'nsswitch.conf',
    'hosts',
  ]) {
    if (existsSync(`/etc/${file}`)) cpSync(`/etc/${file}`, join(dir, 'etc', file))
  }
  writeFileSync(join(dir, 'bin/systemctl'), `#!/bin/sh\necho "$*" >>${dir}/log/systemctl\n`)
  // Users' numbers are this machine's, too: whether the program runs is said by a file.
  writeFileSync(join(dir, 'bin/pgrep'), `#!/bin/sh\n[ -e ${dir}/active ]\n`)
  chmodSync(join(dir, 'bin/pgrep'), 0o755)
  chmodSync(join(dir, 'bin/systemctl'), 0o755)
  // What the namespace had in memory is gone with it, so it is copied out, owners and modes with it.
  writeFileSync(
    join(dir, 'start.sh'),
    `set -u
for folder in etc opt var/cache; do mount --bind ${dir}/$folder /$folder; done
mount -t tmpfs tmpfs /run
for turn in $(seq "$1"); do bash ${repository}/infra/boot.sh || status=$?; done
rm -rf ${dir}/run
[ -d /run/nightjar ] && cp -a /run/nightjar ${dir}/run
[ -z "$2" ] || bash -c "$2" || status=$?
exit \${status:-0}
`,
  )

  return {
    attributes,
    secrets,
    asked,
    async upload(object, data, word) {
      const url = `http://${gcs.host}/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(object)}`
      const answer = await fetch(url, { method: 'POST', body: Buffer.from(data) })
      const { generation } = (await answer.json()) as { generation: string }
      const sha256 = createHash('sha256').update(data).digest('hex')
      return `${sha256} ${generation} ${bucket} ${object} ${word}`
    },
    async boot({ twice = false, then = '' } = {}) {
      rmSync(join(dir, 'log/systemctl'), { force: true })
      asked.length = 0
      const env = {
        PATH: `${join(dir, 'bin')}:/usr/sbin:/usr/bin:/sbin:/bin`,
        TMPDIR: join(dir, 'tmp'),
        GCE_METADATA_HOST: `127.0.0.1:${port}`,
        CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `http://127.0.0.1:${port}/`,
        CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: `http://127.0.0.1:${port}/`,
      }
      const words = ['--mount', '--propagation', 'private', 'bash', join(dir, 'start.sh')]
      const { status, said } = await new Promise<Pick<Boot, 'status' | 'said'>>((done) => {
        const options = { env, timeout: 120_000 }
        execFile('unshare', [...words, twice ? '2' : '1', then], options, (error, out, err) => {
          done({ status: error === null ? 0 : Number(error.code ?? 1), said: `${out}${err}` })
        })
      })
      const log = join(dir, 'log/systemctl')
      const told = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []
      return { status, said, told, run: placedIn(join(dir, 'run'), join(dir, 'etc/passwd')) }
    },
    path: (path) => join(dir, path),
    async close() {
      google.close()
      await gcs.kill()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

function placedIn(folder: string, passwd: string): Map<string, Placed> {
  const users = new Map(
    readFileSync(passwd, 'utf8')
      .split('\n')
      .map((line) => [Number(line.split(':')[2]), line.split(':')[0] ?? '']),
  )
  const found = new Map<string, Placed>()
  if (!existsSync(folder)) return found
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const { mode, uid } = lstatSync(path)
    found.set(path.slice(folder.length + 1), {
      mode: (mode & 0o777).toString(8),
      user: users.get(uid) ?? String(uid),
      text: entry.isFile() ? readFileSync(path, 'utf8') : '',
    })
  }
  return found
}

/** The metadata server, Secret Manager, and a door to Cloud Storage that asks for the token. */
async function startGoogle(
  gcs: Emulator,
  attributes: Map<string, string>,
  secrets: Machine['secrets'],
  asked: string[],
): Promise<Server> {
  const server = createServer(async (request, response) => {
    const { url = '', headers } = request
    const answer = (status: number, body: string | Buffer): void => {
      response.writeHead(status).end(body)
    }
    const metadata = /^\/computeMetadata\/v1\/(.*)$/.exec(url)?.[1]
    if (metadata !== undefined) {
      if (headers['metadata-flavor'] !== 'Google') return answer(403, 'no flavor')
      const facts: Record<string, string> = {
        'project/project-id': 'my-project',
        'instance/zone': 'projects/1234/zones/us-central1-a',
        'instance/service-accounts/default/token': `{"access_token":"${token}","expires_in":3599}`,
      }
      const attribute = /^instance\/attributes\/(.*)$/.exec(metadata)?.[1]
      const value = attribute === undefined ? facts[metadata] : attributes.get(attribute)
      return value === undefined ? answer(404, '<html>not found</html>') : answer(200, value)
    }
    asked.push(url)
    if (headers.authorization !== `Bearer ${token}`) return answer(401, 'who are you?')
    const secret = /^\/v1\/projects\/my-project\/secrets\/([^/]+)\/versions\/latest:access$/.exec(
      url,
    )
    if (secret !== null) {
      const value = secrets.get(secret[1] ?? '')
      if (value === undefined) return answer(404, '{"error":{"code":404}}')
      if (typeof value !== 'string') return answer(value.status, '{}')
      const data = Buffer.from(value, 'latin1').toString('base64')
      const name = `projects/1234/secrets/${secret[1]}/versions/7`
      return answer(200, JSON.stringify({ name, payload: { data, dataCrc32c: '1' } }, null, 2))
    }
    const stored = await fetch(`http://${gcs.host}${url}`)
    answer(stored.status, Buffer.from(await stored.arrayBuffer()))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return server
}
