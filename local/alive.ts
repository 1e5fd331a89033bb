/**
 * A process as a number that no later process has: its pid, and when it began. The pid alone comes
 * back: after a restart of the machine, and in a container at once.
 */
import { readFileSync, readlinkSync } from 'node:fs'

const pids = 2 ** 22

/** The number of this process, the same in all its threads. */
export const processMark = (): number => markOf(process.pid, startOf(process.pid))

/** The number of a process of this machine that lives now. */
export const markOfProcess = (pid: number): number => markOf(pid, startOf(pid))

const markOf = (pid: number, start: number): number => (start % 2 ** 30) * pids + pid

export const pidOf = (mark: number): number => mark % pids

/** True while the process that has this number lives. */
export function isAlive(mark: number): boolean {
  const pid = pidOf(mark)
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const start = startOf(pid)
  // Where the system does not tell, a living pid is taken for the process.
  return start === 0 || markOf(pid, start) === mark
}

/**
 * This process, told from those of other kernels and other containers by the boot of the one and the
 * process ids of the other; undefined where the system does not tell.
 */
export function processHere(): string | undefined {
  const where = whereProcessesAre()
  return where && `${where} ${processMark()}`
}

/** True only where that process was one of ours, here, since the machine has started, and is no more. */
export function hasEndedHere(process: string): boolean {
  const where = whereProcessesAre()
  if (where === undefined || !process.startsWith(`${where} `)) return false
  const mark = Number(process.slice(where.length + 1))
  return Number.isSafeInteger(mark) && mark > 0 && !isAlive(mark)
}

function whereProcessesAre(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return undefined
  }
}

/** When a process began, in ticks of the system's own; 0 where it does not tell. */
function startOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is a name in parentheses that may hold anything; the 22nd is the start.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended and waits only to be noticed.
    return fields[0] === 'Z' ? -1 : Number(fields[19])
  } catch {
    return 0
  }
}
