/** `nightjar events`: typed events on topics and queues, as ctrl_events has them. */
import { Command } from 'commander'

import { eventListenCommand, eventWatchCommand } from './events-listen.ts'
import { eventSendCommand } from './events-send.ts'
import type { World } from './world.ts'

/** The command. */
export function eventsCommand(world: World): Command {
  return new Command('events')
    .description(
      'Send and receive typed events: on a topic every receiver has a copy, on a queue each event ' +
        'goes to one.',
    )
    .addHelpText(
      'after',
      `
An event has a header of typed properties, by which selectors choose (docs/selectors.md), and a
payload. docs/control.md says what is in both.

Examples:
  $ nightjar events listen dome --select "STATUS = 'open' AND temperature < 5"
  $ nightjar events listen exposures --queue --once --timeout 30s --json
  $ nightjar events watch --level warn
  $ nightjar events send dome --type status --status open -f temperature:double=3.5
  $ nightjar events send Logging --type log --level error --message 'the dome is stuck'`,
    )
    .addCommand(eventListenCommand(world))
    .addCommand(eventWatchCommand(world))
    .addCommand(eventSendCommand(world))
}
