/**
 * What systemd is told of a service with `Type=notify` and `WatchdogSec=`: that it is ready, that it
 * gets on, that it stops. Node has no Unix datagram sockets, so systemd's own tool sends the word
 * (systemd-notify(1)); the unit needs `NotifyAccess=all`, since the word comes from another process.
 */
import { execFile } from 'node:child_process'

export interface Notifier {
  ready(): void
  stop(): void
}

/**
 * Tell systemd, if it asks to be told. While `getsOn` says yes the watchdog is fed, from progress and
 * not from a timer alone: a program that hangs is killed and started again.
 */
export function startNotifying(
  env: Readonly<Record<string, string | undefined>>,
  getsOn: () => boolean,
): Notifier {
  const socket = env['NOTIFY_SOCKET']
  if (socket === undefined) return { ready() {}, stop() {} }
  const watchdogMs = Number(env['WATCHDOG_USEC'] ?? 0) / 1000
  const tell = (word: string): void => {
    const options = { env: { PATH: env['PATH'], NOTIFY_SOCKET: socket }, timeout: 5000 }
    execFile('systemd-notify', [`--pid=${process.pid}`, word], options, () => {})
  }
  const timer =
    watchdogMs > 0
      ? setInterval(() => {
          if (getsOn()) tell('WATCHDOG=1')
        }, watchdogMs / 3)
      : undefined
  return {
    ready: () => tell('READY=1'),
    stop() {
      clearInterval(timer)
      tell('STOPPING=1')
    },
  }
}
