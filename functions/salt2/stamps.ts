/**
 * An alert's cutouts for its plot. Transients travel without them; the archive has the whole packet, but
 * it works beside us and may come a little later, so it is given a moment. A plot without cutouts is
 * better than none.
 */
import { readCutout, stampsOf, type StampName } from '../../core/cutout.ts'
import { isPermanent } from '../../core/errors.ts'
import { archiveName } from '../../core/names.ts'
import { cutoutPng } from '../../core/png.ts'
import type { Store } from '../../core/ports.ts'
import { readAlert } from '../../schemas/alert.ts'
import type { SchemaSource } from '../../schemas/registry.ts'

/** Cutouts as PNG, by name. */
export type Stamps = Readonly<Partial<Record<StampName, Uint8Array>>>

/** Milliseconds between looks into the archive. */
const patience = [0, 50, 150, 400]

/** Read an alert's cutouts from the archive. */
export async function archivedStamps(
  archive: Store,
  schemas: SchemaSource,
  { topic, objectId, candid }: { topic: string; objectId: string; candid: bigint },
): Promise<Stamps> {
  for (const ms of patience) {
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
    const found = await archive.read(archiveName(topic, objectId, candid))
    if (found !== null) return stampsIn(found.data, schemas)
  }
  return {}
}

/** The cutouts of a packet, each a PNG; what cannot be read is left out. */
export function stampsIn(packet: Uint8Array, schemas: SchemaSource): Stamps {
  const stamps = attempt(() => stampsOf(readAlert(packet, schemas).record)) ?? {}
  const entries = Object.entries(stamps).flatMap(([name, stamp]) => {
    const png = attempt(() => cutoutPng(readCutout(stamp), 1))
    return png === undefined ? [] : [[name, png]]
  })
  return Object.fromEntries(entries) as Stamps
}

/** What damage keeps from being read is not there. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isPermanent(error)) return undefined
    throw error
  }
}
