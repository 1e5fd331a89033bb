/** A fit as a person reads it in a terminal. */
import { bandpassOf } from '../functions/salt2/analysis.ts'
import { bands, mjdOf } from '../functions/salt2/measurement.ts'
import { measured, plainNumber } from '../functions/salt2/plot/numbers.ts'
import { sexagesimal } from '../functions/salt2/plot/position.ts'
import type { FitRecord } from '../functions/salt2/record.ts'

/** Some lines: who, what was fitted, the parameters, the maximum. */
export function formatFit(record: Omit<FitRecord, 'occurrence' | 'codeVersion'>): string {
  const { objectId, ra, dec, analysis } = record
  const { fit, forecast, points, surroundings, success, reason, message } = analysis
  const place = ra === null || dec === null ? '' : `   ${sexagesimal(ra, dec)}`
  const head = `${objectId}${place}`
  if (fit === null) return `${head}\n  no fit: ${message} (${reason})`
  const { parameters: p, errors, peak, options, phaseSpan, nDataByBand } = fit
  const counts = bands.flatMap((band) => {
    const count = nDataByBand[bandpassOf(band)] ?? 0
    return count === 0 ? [] : [`${count} ${band}`]
  })
  const newest = Math.max(...points.map(({ jd }) => mjdOf(jd)))
  const peaks = bands.flatMap((band) => {
    const own = peak.bands[bandpassOf(band)]
    return own === undefined ? [] : [`${band} ${both(own.mag, own.magError)}`]
  })
  const rows: [string, string][] = [
    ['points', `${fit.nData} of ${points.length} (${counts.join(', ')}), ${span(phaseSpan)}`],
    [
      'z',
      options.redshift.kind === 'fixed' ? `${p.z}, known` : `${both(p.z, errors.z)}, with priors`,
    ],
    ['t0', `MJD ${both(p.t0, errors.t0)} (${dateOf(p.t0)})`],
    ['x0', both(p.x0, errors.x0)],
    ['x1', both(p.x1, errors.x1)],
    ['c', both(p.c, errors.c)],
    ['maximum', `B ${both(peak.mB, peak.mBError)}; ${peaks.join(', ')}`],
    ['χ²/dof', `${fit.chisq.toFixed(1)} / ${fit.dof}`],
    ['dust', `E(B−V) ${surroundings.mwebv.toFixed(3)} (${surroundings.mwebvSource})`],
    ['model', `${analysis.model ?? ''}, ${analysis.settings}`],
  ]
  if (fit.pulls !== null) {
    const { x1, c, magnitude } = fit.pulls
    const pulls = [`x1 ${signed(x1)}`, `c ${signed(c)}`, `magnitude ${signed(magnitude)}`]
    rows.splice(8, 0, ['priors', `pulled by ${pulls.join(', ')} deviations`])
  }
  if (forecast !== null) {
    const { time, timeError } = forecast.peak
    const days = both(time - newest, timeError)
    rows.push(['forecast', `maximum ${days} days after the newest point`])
  }
  if (!success) rows.unshift(['caution', `${message} (${reason})`])
  return [head, ...rows.map(([name, value]) => `  ${name.padEnd(9)} ${value}`)].join('\n')
}

/** A fit as one line, from the attributes of its message. */
export function fitLine(attributes: Readonly<Record<string, string>>): string {
  const of = (name: string): string => attributes[name] ?? '–'
  const error = (name: string): string =>
    attributes[name] === undefined ? '' : ` ± ${attributes[name]}`
  const peaks = bands.flatMap((band) => {
    const mag = attributes[`peak_mag_${band}`]
    return mag === undefined ? [] : [`${band} ${mag}`]
  })
  const rising = attributes['before_maximum'] === '1'
  return [
    of('objectId').padEnd(13),
    `z ${of('z')}${error('z_err')}`,
    `maximum ${of('peak_mjd')}${error('peak_mjd_err')}${rising ? ' (to come)' : ''}`,
    peaks.join(' '),
    `x1 ${of('x1')}`,
    `c ${of('c')}`,
    `χ²/dof ${of('chisq_dof')}`,
    `${of('n_points')} points`,
    ...(of('reason') === 'ok' ? [] : [of('reason')]),
  ].join('  ')
}

const both = (value: number, error: number): string => {
  const { value: shown, error: deviation } = measured(value, error)
  return deviation === undefined ? shown : `${shown} ± ${deviation}`
}

const span = ([first, last]: readonly [number, number]): string =>
  `${signed(first)} to ${signed(last)} rest-frame days`

const signed = (value: number): string => `${value > 0 ? '+' : ''}${plainNumber(value, 1)}`

/** The UTC date of an MJD. */
const dateOf = (mjd: number): string =>
  Number.isFinite(mjd) && Math.abs(mjd) < 1e6
    ? new Date((mjd - 40587) * 86_400_000).toISOString().slice(0, 10)
    : 'no date'
