/** Who may connect, by address: networks in CIDR or with a netmask. Unix sockets have no address. */
import { BlockList, isIP, isIPv4 } from 'node:net'

import { NightjarError } from '../../core/errors.ts'

export interface Whitelist {
  admits(address: string | undefined): boolean
}

/** Comet's default: every IPv4 address. */
export const everybody = ['0.0.0.0/0', '::/0']

/** Read a list of networks; an empty list admits nobody. Throws `config_invalid`. */
export function createWhitelist(networks: readonly string[]): Whitelist {
  // As a list it blocks nothing here: it is asked who is on it.
  const list = new BlockList()
  for (const network of networks) {
    const { address, prefix } = parseNetwork(network)
    list.addSubnet(address, prefix, isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return {
    admits(address) {
      if (address === undefined) return true
      const plain =
        address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address
      return list.check(plain, isIPv4(plain) ? 'ipv4' : 'ipv6')
    },
  }
}

function parseNetwork(text: string): { address: string; prefix: number } {
  const refuse = (why: string): never => {
    throw new NightjarError('config_invalid', `Cannot take network "${text}": ${why}`)
  }
  const [address = '', mask] = text.split('/')
  const kind = isIP(address)
  if (kind === 0) return refuse(`"${address}" is no IP address`)
  const bits = kind === 4 ? 32 : 128
  const prefix =
    mask === undefined ? bits : (prefixOf(mask, bits) ?? refuse(`"${mask}" is no netmask`))
  if (!isBase(address, kind, prefix)) refuse('it has host bits set')
  return { address, prefix }
}

function prefixOf(mask: string, bits: number): number | undefined {
  if (/^\d{1,3}$/.test(mask)) return Number(mask) <= bits ? Number(mask) : undefined
  if (bits !== 32 || !isIPv4(mask)) return undefined
  const binary = bitsOf4(mask)
  return /^1*0*$/.test(binary) ? binary.replace(/0+$/, '').length : undefined
}

/** True where all behind the prefix is zero. */
function isBase(address: string, kind: number, prefix: number): boolean {
  const binary = kind === 4 ? bitsOf4(address) : bitsOf6(address)
  return !binary.slice(prefix).includes('1')
}

const bitsOf4 = (address: string): string =>
  address
    .split('.')
    .map((part) => Number(part).toString(2).padStart(8, '0'))
    .join('')

function bitsOf6(address: string): string {
  const [head = '', tail] = address.split('::')
  const groups = (text: string | undefined): string[] => (text ? text.split(':') : [])
  const front = groups(head)
  const back = groups(tail)
  const between = tail === undefined ? 0 : 8 - front.length - back.length
  const all = [...front, ...Array.from({ length: between }, () => '0'), ...back]
  return all.map((group) => parseInt(group, 16).toString(2).padStart(16, '0')).join('')
}
