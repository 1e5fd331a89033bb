/** `--print-event`: the document, to whoever looks. */
import type { Handler } from './handler.ts'

export function printHandler(out: (text: string) => void): Handler {
  return {
    name: 'print-event',
    handle({ bytes }) {
      const text = Buffer.from(bytes).toString()
      out(text.endsWith('\n') ? text : `${text}\n`)
    },
  }
}
