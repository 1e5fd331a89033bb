import { NightjarError } from '../../core/errors.ts'

/** Read redshifts from lines `objectId,z`; a first line of words is a heading. Throws `config_invalid`. */
export function parseRedshifts(text: string): Map<string, number> {
  const redshifts = new Map<string, number>()
  for (const [i, line] of text.split('\n').entries()) {
    const [objectId = '', value = ''] = line.split(',').map((word) => word.trim())
    const z = value === '' ? NaN : Number(value)
    if (line.trim() === '' || line.startsWith('#') || (i === 0 && Number.isNaN(z))) continue
    if (objectId === '' || !(z > 0 && z < 2)) {
      throw new NightjarError(
        'config_invalid',
        `Cannot read redshifts: line ${i + 1} is ${JSON.stringify(line.slice(0, 80))}, not "objectId,z"`,
      )
    }
    redshifts.set(objectId, z)
  }
  return redshifts
}
