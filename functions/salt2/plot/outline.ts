/** The texts of a plot as shapes, so that it looks the same whatever fonts there are. */
import type { Font } from './font.ts'

export interface Fonts {
  regular: Font
  bold: Font
}

/** Replace every text of an SVG that `drawPicture` wrote; it knows no other. */
export function outlineTexts(svg: string, fonts: Fonts): string {
  return svg.replaceAll(/<text ([^>]*)>(.*?)<\/text>/g, (_, head: string, body: string) => {
    const attributes = attributesOf(head)
    const font = attributes['font-weight'] === 'bold' ? fonts.bold : fonts.regular
    const size = Number(attributes['font-size'])
    const parts = partsOf(body, attributes['class'] ?? '')
    const widths = parts.map(({ dx, text }) => dx + font.widthOf(text) * size)
    const whole = widths.reduce((sum, width) => sum + width, 0)
    const share = { start: 0, middle: 0.5, end: 1 }[attributes['text-anchor'] ?? 'start'] ?? 0
    let left = Number(attributes['x'] ?? 0) - share * whole
    const y = Number(attributes['y'] ?? 0)
    const transform = attributes['transform']
    const turned = transform === undefined ? '' : ` transform="${transform}"`
    return parts
      .map(({ look, dx, text }, i) => {
        const path = font.outline(text, left + dx, y, size)
        left += widths[i] ?? 0
        return path === '' ? '' : `<path class="t ${look}"${turned} d="${path}"/>`
      })
      .join('')
  })
}

interface Part {
  look: string
  dx: number
  text: string
}

function partsOf(body: string, look: string): Part[] {
  const pieces = body.match(/<tspan [^>]*>.*?<\/tspan>|[^<]+/g) ?? []
  return pieces.map((piece) => {
    const inner = /^<tspan ([^>]*)>(.*?)<\/tspan>$/.exec(piece)
    const attributes = attributesOf(inner?.[1] ?? '')
    return {
      look: attributes['class'] ?? look,
      dx: Number(attributes['dx'] ?? 0),
      text: unescape(inner?.[2] ?? piece),
    }
  })
}

function attributesOf(text: string): Record<string, string> {
  const found = text.matchAll(/([\w-]+)="([^"]*)"/g)
  return Object.fromEntries([...found].map(([, name = '', value = '']) => [name, value]))
}

const unescape = (text: string): string =>
  text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
