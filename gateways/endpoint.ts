/**
 * Where to listen or to connect, as Twisted's endpoint strings write it, since the users of Comet and
 * hpfeeds have them in their scripts: parts joined by ":", a literal ":" or "\" behind a "\".
 *
 *     10000    0.0.0.0:10000    [::1]:10000    tcp:8098:interface=127.0.0.1    tcp:interface=::1:port=…
 *     tls:interface=0.0.0.0:port=10000:key=broker.key:cert=broker.crt    unix:/run/nightjar.sock
 */
import { NightjarError } from '../core/errors.ts'

export type Endpoint =
  | { kind: 'tcp'; host: string; port: number; device?: string }
  | { kind: 'tls'; host: string; port: number; device?: string; tls: TlsFiles }
  | { kind: 'unix'; path: string }

/** Files in PEM. One who listens has key and certificate; one who connects has what it trusts. */
export interface TlsFiles {
  key?: string
  cert?: string
}

export interface EndpointDefaults {
  /** Host of an endpoint that names none. */
  host: string
  /** Port of an endpoint that names none; without it one must be named. */
  port?: number
}

const named = new Set(['interface', 'host', 'port', 'device', 'key', 'cert', 'path'])

/** Read an endpoint. Throws `config_invalid` with what is wrong. */
export function parseEndpoint(text: string, defaults: EndpointDefaults): Endpoint {
  const refuse = (why: string): never => {
    throw new NightjarError('config_invalid', `Cannot take endpoint "${text}": ${why}`)
  }
  const plain = plainParts(text)
  const [kind, ...parts] = plain ?? splitParts(text)
  if (kind !== 'tcp' && kind !== 'tls' && kind !== 'unix') {
    return refuse(`"${kind}" is none of tcp, tls and unix`)
  }
  const options = new Map<string, string>()
  const places: string[] = []
  for (const part of parts) {
    const [, key, value] = /^([a-z]+)=(.*)$/s.exec(part) ?? []
    if (key === undefined || value === undefined) places.push(part)
    else if (!named.has(key)) refuse(`it has no option "${key}"`)
    else options.set(key, value)
  }
  if (kind === 'unix') {
    const path = options.get('path') ?? places[0]
    if (path === undefined || path === '') return refuse('a Unix socket needs a path')
    return { kind, path }
  }
  // A server's endpoint begins with its port, a client's with its host.
  const first = places[0] !== undefined && /^\d+$/.test(places[0]) ? [undefined, ...places] : places
  const host = options.get('interface') ?? options.get('host') ?? first[0] ?? defaults.host
  const port = options.get('port') ?? first[1]
  const device = options.get('device')
  const place = {
    host: host === '' ? defaults.host : host,
    port: port === undefined ? (defaults.port ?? refuse('it names no port')) : portOf(port, refuse),
    ...(device !== undefined && { device }),
  }
  if (kind === 'tcp') return { kind, ...place }
  const [key, cert] = [options.get('key'), options.get('cert')]
  return {
    kind,
    ...place,
    tls: { ...(key !== undefined && { key }), ...(cert !== undefined && { cert }) },
  }
}

/** An endpoint for people and logs. */
export function formatEndpoint(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return `unix:${endpoint.path}`
  const { kind, host, port } = endpoint
  return `${kind}:${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** The forms without a kind: a port, a host, a host and its port; an IPv6 address in brackets. */
function plainParts(text: string): string[] | undefined {
  const [, address, host, port] = /^(?:\[([^\]]+)\]|([^:[\]\\/=]*))(?::(\d+))?$/.exec(text) ?? []
  if (address === undefined && host === undefined) return undefined
  if (host === 'tcp' || host === 'tls' || host === 'unix') return undefined
  if (host !== undefined && /^\d+$/.test(host) && port === undefined) return ['tcp', host]
  return ['tcp', `host=${address ?? host ?? ''}`, ...(port === undefined ? [] : [`port=${port}`])]
}

function splitParts(text: string): string[] {
  const parts = ['']
  for (const [piece] of text.matchAll(/\\[\s\S]|[\s\S]/gu)) {
    if (piece === ':') parts.push('')
    else parts[parts.length - 1] += piece.length === 2 ? piece.slice(1) : piece
  }
  return parts
}

function portOf(text: string, refuse: (why: string) => never): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) refuse(`port "${text}" is no number from 0 to 65535`)
  return port
}
