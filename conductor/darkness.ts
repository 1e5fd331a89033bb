/** When a night is dark at its observatory: between the ends of astronomical twilight, sun below -18°. */
import { Body, Observer, SearchAltitude } from 'astronomy-engine'

import { NightjarError } from '../core/errors.ts'
import type { Survey } from '../core/names.ts'
import { nightBegin, type Night } from '../core/night.ts'

/** Latitude and east longitude in degrees (WGS 84), height in metres. */
const observatories: Record<Survey, { name: string; site: Observer }> = {
  ztf: { name: 'Palomar', site: new Observer(33.3563, -116.865, 1712) },
  lsst: { name: 'Cerro Pachón', site: new Observer(-30.2446, -70.7494, 2663) },
}

/** Geometric altitude of the sun at the ends of astronomical twilight, degrees. */
const astronomical = -18

export interface Darkness {
  dusk: Date
  dawn: Date
}

/** The dark hours of a night. At both observatories every night of the year has some. */
export function darkness(survey: Survey, night: Night): Darkness {
  const dusk = crossing(survey, -1, nightBegin(night, survey))
  return { dusk, dawn: crossing(survey, +1, dusk) }
}

function crossing(survey: Survey, direction: 1 | -1, from: Date): Date {
  const { name, site } = observatories[survey]
  const found = SearchAltitude(Body.Sun, site, direction, from, 1, astronomical)
  if (found === null) {
    throw new NightjarError(
      'input_invalid',
      `Cannot tell when the night of ${from.toISOString()} is dark: the sun does not pass ${astronomical}° at ${name}`,
    )
  }
  return found.date
}
