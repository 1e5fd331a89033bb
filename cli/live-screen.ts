/** A view that is drawn over itself on a terminal, and leaves the terminal as it was. */
import type { World } from './world.ts'

export interface LiveScreen {
  /** Draw this from now on, at whatever size the terminal is. */
  show(text: string): void
  /** Give the terminal back, with the last view on it as plain text. */
  close(): void
}

// Xterm's control sequences (ctlseqs, "Functions using CSI"): another screen and back, cursor off and
// on, home, the rest of the line, the rest of the screen.
const enter = '\x1b[?1049h\x1b[?25l'
const leave = '\x1b[?25h\x1b[?1049l'
const home = '\x1b[H'
const clearLine = '\x1b[K'
const clearBelow = '\x1b[J'

/** Take the terminal over. */
export function openScreen({ out, terminal }: Pick<World, 'out' | 'terminal'>): LiveScreen {
  let last = ''
  const draw = (): void => {
    const { columns = 80, rows = 24 } = terminal?.size() ?? {}
    // No line end after the last line: it would scroll a full screen by one.
    const lines = fitLines(last, columns, rows).map((line) => `${line}${clearLine}`)
    out(`${home}${lines.join('\n')}${clearBelow}`)
  }
  const unwatch = terminal?.onResize(draw)
  out(enter)
  return {
    show(text) {
      last = text
      draw()
    },
    close() {
      unwatch?.()
      out(`${leave}${last}`)
    },
  }
}

/** As much of a text as fits a terminal: a line that is too long ends in an ellipsis. */
export function fitLines(text: string, columns: number, rows: number): string[] {
  const lines = text.replace(/\n$/, '').split('\n').slice(0, rows)
  return lines.map((line) => {
    const letters = [...line]
    return letters.length <= columns ? line : `${letters.slice(0, columns - 1).join('')}…`
  })
}
