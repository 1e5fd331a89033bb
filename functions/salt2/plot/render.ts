/** SVG to PNG, the same picture on every machine: no font of the system's takes part. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { renderAsync } from '@resvg/resvg-js'

import { encodeRgbPng } from '../../../core/png.ts'
import { readFont, type Font } from './font.ts'
import { outlineTexts, type Fonts } from './outline.ts'

const { resolve } = createRequire(join(import.meta.dirname, 'render.ts'))
/** Pixels: half a page at 200 an inch. */
const pngWidth = 960

let fonts: Fonts | undefined

/** Render an SVG that `drawPicture` wrote, in a thread of the pool, so that nobody waits for it. */
export async function renderPng(svg: string, width = pngWidth): Promise<Uint8Array> {
  fonts ??= { regular: openFont('DejaVuSans.ttf'), bold: openFont('DejaVuSans-Bold.ttf') }
  const image = await renderAsync(outlineTexts(svg, fonts), {
    font: { loadSystemFonts: false },
    fitTo: { mode: 'width', value: width },
  })
  // Its own encoder takes twice the time for a larger file.
  return encodeRgbPng(image.pixels, image.width)
}

const openFont = (file: string): Font =>
  readFont(readFileSync(resolve(`dejavu-fonts-ttf/ttf/${file}`)))
