/**
 * Colours and type of the plot. The bands' colours keep apart for every kind of colour vision (Okabe & Ito
 * 2008) and in grey, and each band has a mark of its own shape.
 */
import type { ZtfBand } from '../measurement.ts'

interface Palette {
  paper: string
  ink: string
  quiet: string
  line: string
  bands: Readonly<Record<ZtfBand, string>>
}

export type Theme = 'light' | 'dark'

const palettes: Readonly<Record<Theme, Palette>> = {
  light: {
    paper: '#ffffff',
    ink: '#16181d',
    quiet: '#5c6370',
    line: '#d5d9e0',
    bands: { g: '#008a64', r: '#d14900', i: '#6a3fa0' },
  },
  dark: {
    paper: '#14161b',
    ink: '#eceff4',
    quiet: '#a3abb8',
    line: '#3a404b',
    bands: { g: '#2fc896', r: '#ff8a4c', i: '#b794f4' },
  },
}

/** One family, which comes with the package `dejavu-fonts-ttf` and is near to what browsers have. */
export const fontFamily = 'DejaVu Sans'

/**
 * The style sheet. The light one turns dark by itself where the reader's system is dark; a dark one is
 * dark everywhere.
 */
export function styleSheet(theme: Theme): string {
  const base = `text{font-family:"${fontFamily}",Verdana,sans-serif}${rules(palettes[theme])}`
  if (theme === 'dark') return base
  return `${base}@media (prefers-color-scheme:dark){${rules(palettes.dark)}}`
}

function rules({ paper, ink, quiet, line, bands }: Palette): string {
  const own = Object.entries(bands).map(
    ([band, color]) =>
      `.${band}{fill:${color};stroke:${color}}.${band} .hollow{fill:${paper}}` +
      `.${band} .solid{stroke:${paper}}.curve.${band}{fill:none}.spread.${band}{stroke:none}` +
      `text.${band}{stroke:none}`,
  )
  return (
    `.paper{fill:${paper}}.ink{fill:${ink}}.quiet{fill:${quiet}}` +
    `.frame{fill:none;stroke:${ink}}.grid{stroke:${line};fill:none}.shade{fill:${line};stroke:none}` +
    `.mark{stroke:${ink};fill:none}${own.join('')}.t{stroke:none}`
  )
}
