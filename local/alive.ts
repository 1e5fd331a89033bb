/**
 * A process as a number that no later process has: its pid, and when it began. The pid alone comes
 * back: after a restart of the machine, and in a container at once.
 */
import { readFileSync } from 'node:fs'

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
