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

/** Kafka's usual ports, Kerberos, HTTPS (Google's services, schema registries, tokens), names. */
const out = [
  { protocol: 'tcp', ports: ['88', '443', '9092-9094'] },
  { protocol: 'udp', ports: ['53', '88', '123'] },
]

export function addNetwork({ stack, config }: Context): ComputeSubnetwork {
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
    allow: out,
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
