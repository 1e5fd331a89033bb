/**
 * The machines' network: no address of theirs is reachable from outside; out they go through one address
 * (surveys admit by address), to Kafka, Kerberos and HTTPS and nowhere else.
 */
import { ComputeAddress } from '@cdktf/provider-google/lib/compute-address/index.js'
import { ComputeFirewall } from '@cdktf/provider-google/lib/compute-firewall/index.js'
import { ComputeNetwork } from '@cdktf/provider-google/lib/compute-network/index.js'
import { ComputeRouterNat } from '@cdktf/provider-google/lib/compute-router-nat/index.js'
import { ComputeRouter } from '@cdktf/provider-google/lib/compute-router/index.js'
import { ComputeSubnetwork } from '@cdktf/provider-google/lib/compute-subnetwork/index.js'

import { sharedName } from '../core/names.ts'
import type { Context } from './context.ts'
import type { Streams } from './streams.ts'

/** HTTPS (Google's services, schema registries, tokens), Kerberos, Kafka's usual ports; names and time. */
const tcp = ['443', '88', '9092-9094']
const udp = ['53', '88', '123']

export function addNetwork({ stack, config }: Context, streams: Streams): ComputeSubnetwork {
  const brokers = [...streams.values()].flatMap(({ ports }) => ports)
  const more = new Set(brokers.filter((port) => port < 9092 || port > 9094).map(String))
  const named = (thing: string): string => sharedName(config, thing)
  const { region } = config
  const network = new ComputeNetwork(stack, 'network', {
    name: named('network'),
    autoCreateSubnetworks: false,
  })
  const subnetwork = new ComputeSubnetwork(stack, 'subnetwork', {
    name: named('machines'),
    network: network.id,
    region,
    ipCidrRange: '10.71.0.0/28',
    privateIpGoogleAccess: true,
  })
  const router = new ComputeRouter(stack, 'router', {
    name: named('router'),
    network: network.id,
    region,
  })
  const address = new ComputeAddress(stack, 'address', { name: named('egress'), region })
  new ComputeRouterNat(stack, 'nat', {
    name: named('nat'),
    router: router.name,
    region,
    natIpAllocateOption: 'MANUAL_ONLY',
    natIps: [address.selfLink],
    sourceSubnetworkIpRangesToNat: 'LIST_OF_SUBNETWORKS',
    subnetwork: [{ name: subnetwork.id, sourceIpRangesToNat: ['ALL_IP_RANGES'] }],
    logConfig: { enable: true, filter: 'ERRORS_ONLY' },
  })
  new ComputeFirewall(stack, 'firewall-out', {
    name: named('out'),
    network: network.name,
    direction: 'EGRESS',
    priority: 1000,
    destinationRanges: ['0.0.0.0/0'],
    allow: [
      { protocol: 'tcp', ports: [...new Set([...tcp, ...more])] },
      { protocol: 'udp', ports: udp },
    ],
  })
  new ComputeFirewall(stack, 'firewall-out-else', {
    name: named('out-else'),
    network: network.name,
    direction: 'EGRESS',
    priority: 65_000,
    destinationRanges: ['0.0.0.0/0'],
    deny: [{ protocol: 'all' }],
  })
  // Google's Identity-Aware Proxy forwards an operator's SSH from this range, after asking who it is.
  new ComputeFirewall(stack, 'firewall-ssh', {
    name: named('ssh'),
    network: network.name,
    direction: 'INGRESS',
    sourceRanges: ['35.235.240.0/20'],
    allow: [{ protocol: 'tcp', ports: ['22'] }],
  })
  return subnetwork
}
