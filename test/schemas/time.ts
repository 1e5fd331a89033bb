/**
 * Milliseconds of work that this thread has done. Unlike the clock it does not count what others do
 * on a busy machine, so a bound on it says something of the code.
 */
export function cpuTime(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
