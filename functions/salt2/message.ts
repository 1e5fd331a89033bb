/** What goes out on the topic: the row as flat JSON, and attributes to filter by without opening it. */
import type { Message } from '../../core/ports.ts'
import { forStageAttribute } from '../../core/alert.ts'
import type { FitRecord } from './record.ts'
import { salt2Row } from './row.ts'

/** The message of a record, for what came as a message with these attributes. */
export function salt2Message(record: FitRecord, attributes: Message['attributes']): Message {
  const { [forStageAttribute]: _, ...own } = attributes
  return { data: Buffer.from(rowText(record)), attributes: { ...own, ...describe(record) } }
}

/** The row as JSON: 64-bit numbers as text, NaN and the infinities by their names. */
export function rowText(record: Omit<FitRecord, 'occurrence'>): string {
  return JSON.stringify(salt2Row(record).values, (_, value: unknown) => {
    if (typeof value === 'bigint') return String(value)
    if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
    return value
  })
}

/**
 * Pub/Sub's filters know equality and prefixes: so flags are "1" and "0", and numbers have as many digits
 * as mean something (`hasPrefix(attributes.peak_mag_r, "17.")`).
 */
function describe({ analysis }: FitRecord): Record<string, string> {
  const { fit, forecast, success, reason, settings } = analysis
  if (fit === null) return {}
  const { parameters, errors, options, peak, phaseSpan } = fit
  const described: Record<string, string> = {
    success: flag(success),
    reason,
    settings,
    z_mode: options.redshift.kind,
    z: parameters.z.toFixed(4),
    x1: parameters.x1.toFixed(2),
    c: parameters.c.toFixed(3),
    chisq_dof: (fit.chisq / fit.dof).toFixed(2),
    n_points: String(fit.nData),
    phase: phaseSpan[1].toFixed(1),
    before_maximum: flag(phaseSpan[1] < 0),
    is_normal: flag(success && isNormal(fit)),
    peak_mjd: peak.time.toFixed(2),
    peak_mjd_err: peak.timeError.toFixed(2),
  }
  if (options.redshift.kind !== 'fixed') described['z_err'] = errors.z.toFixed(4)
  for (const [bandpass, { mag, magError }] of Object.entries(peak.bands)) {
    const band = bandpass.replace(/^ztf/, '')
    described[`peak_mag_${band}`] = mag.toFixed(2)
    described[`peak_mag_${band}_err`] = magError.toFixed(2)
  }
  if (forecast !== null) {
    described['forecast_mjd'] = forecast.peak.time.toFixed(2)
    described['forecast_mjd_err'] = forecast.peak.timeError.toFixed(2)
  }
  return described
}

/** Cosmology's cuts of ZTF's first data release (Dhawan et al. 2022): a SN Ia as they mostly are. */
function isNormal({ parameters, errors }: NonNullable<FitRecord['analysis']['fit']>): boolean {
  return Math.abs(parameters.x1) < 3 && Math.abs(parameters.c) < 0.3 && errors.x1 < 1
}

const flag = (is: boolean): string => (is ? '1' : '0')
