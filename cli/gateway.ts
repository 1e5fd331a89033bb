/** `nightjar gateway`: doors for peers that speak other protocols, one verb a protocol. */
import { Command } from 'commander'

import { hpfeedsCommand } from './gateway-hpfeeds.ts'
import { voeventCommand } from './gateway-voevent.ts'
import type { World } from './world.ts'

/** The command. */
export function gatewayCommand(world: World): Command {
  return new Command('gateway')
    .description('Open a door for peers that speak another protocol, onto the topics of a home.')
    .addCommand(hpfeedsCommand(world))
    .addCommand(voeventCommand(world))
}
