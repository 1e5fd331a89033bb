/** Events as Cloud Logging reads them from a program's output: one JSON object a line, with a severity. */
import { severityOf, type Log } from '../core/log.ts'

/** The log of a program in the cloud ("Structured logging": `severity`, `message`, `time`). */
export function createLog(write: (line: string) => void, now = () => new Date()): Log {
  return function log(event, facts) {
    const message = `${event} ${JSON.stringify(facts)}`
    const time = now().toISOString()
    write(`${JSON.stringify({ ...facts, severity: severityOf(event), message, event, time })}\n`)
  }
}
