/**
 * The row of the table `salt2`: the 42 columns of the original by their names, and what it did not say.
 * A parameter that was held fixed has no error and no covariance: null. NaN stays NaN.
 */
import { plotName, salt2TableName } from '../../core/names.ts'
import type { Column, Row, RowShape } from '../../core/row.ts'
import { parameterNames } from '../../salt2/result.ts'
import { bandpassOf, type PlainFit } from './analysis.ts'
import { bands, mjdOf } from './measurement.ts'
import type { FitRecord } from './record.ts'

const original: readonly Column[] = [
  column('objectId', 'STRING', 'The object that the alert is about'),
  column('candid', 'INT64', 'The alert whose arrival asked for the fit'),
  column('success', 'INT64', '1: a minimum within all bounds'),
  column('ncall', 'INT64', 'Evaluations of the model'),
  column('chisq', 'FLOAT64', 'Of the data'),
  column('ndof', 'INT64', 'Points in the fit less free parameters'),
  column('z', 'FLOAT64', 'Redshift'),
  column('t0', 'FLOAT64', 'Maximum in rest-frame B, MJD'),
  column('x0', 'FLOAT64', 'Amplitude'),
  column('x1', 'FLOAT64', 'Stretch'),
  column('c', 'FLOAT64', 'Colour, mag'),
  ...parameterNames.map((name) => column(`${name}_err`, 'FLOAT64', `One deviation of ${name}`)),
  ...parameterNames.flatMap((p) =>
    parameterNames.map((q) => column(`${p}_${q}_cov`, 'FLOAT64', `Covariance of ${p} and ${q}`)),
  ),
  column('plot_lc_bytes', 'BYTES', 'Never filled; see plot_lc'),
]

const ours: readonly Column[] = [
  column('reason', 'STRING', 'ok, or why there is no fit or none to rely on'),
  column('message', 'STRING', 'The reason as a sentence'),
  column('z_mode', 'STRING', 'fixed: known before; priors: free, held by what is known of SNe Ia'),
  column('priors', 'STRING', 'The priors that were used, as JSON'),
  column('prior_chisq', 'FLOAT64', 'What the priors add to chisq'),
  column('pull_x1', 'FLOAT64', 'How far the prior on x1 was stretched, in its deviations'),
  column('pull_c', 'FLOAT64', 'How far the prior on c was stretched'),
  column('pull_magnitude', 'FLOAT64', 'How far the prior on the absolute magnitude was stretched'),
  column('mwebv', 'FLOAT64', 'E(B-V) of the Milky Way that was applied, mag'),
  column('mwebv_source', 'STRING', 'Where mwebv is from'),
  column('n_points', 'INT64', 'Points in the fit'),
  ...bands.map((band) => column(`n_${band}`, 'INT64', `Points in the fit in ${band}`)),
  column('first_mjd', 'FLOAT64', 'First point that is known'),
  column('last_mjd', 'FLOAT64', 'Newest point that is known'),
  column('phase_first', 'FLOAT64', 'Rest-frame days from t0 to the first point in the fit'),
  column('phase_last', 'FLOAT64', 'Rest-frame days from t0 to the last point in the fit'),
  column('peak_mjd', 'FLOAT64', 'Date of maximum, which is t0'),
  column('peak_mjd_err', 'FLOAT64', 'One deviation of it'),
  column('peak_mb', 'FLOAT64', 'Rest-frame B at maximum, -2.5 log10 x0 + 10.635'),
  column('peak_mb_err', 'FLOAT64', 'One deviation of it'),
  ...bands.flatMap((band) => [
    column(`peak_mjd_${band}`, 'FLOAT64', `Maximum in ${band}, MJD`),
    column(`peak_mag_${band}`, 'FLOAT64', `AB magnitude then, as observed`),
    column(`peak_mag_${band}_err`, 'FLOAT64', 'One deviation of it'),
  ]),
  column('before_maximum', 'BOOL', 'The newest point in the fit lies before the maximum'),
  column('forecast_mjd', 'FLOAT64', 'Peak forecast, if it is one: the date, z free with priors'),
  column('forecast_mjd_err', 'FLOAT64', 'One deviation of it'),
  column('forecast_z', 'FLOAT64', 'Redshift of the forecast'),
  column('forecast_z_err', 'FLOAT64', 'One deviation of it'),
  ...bands.flatMap((band) => [
    column(`forecast_mag_${band}`, 'FLOAT64', `Peak forecast: AB magnitude in ${band}`),
    column(`forecast_mag_${band}_err`, 'FLOAT64', 'One deviation of it'),
  ]),
  column('settings', 'STRING', 'Named configuration of cuts and fit'),
  column('model', 'STRING', 'The light-curve model'),
  column('code_version', 'STRING', 'Goes up when the same light curve would give other numbers'),
  column('plot_lc', 'STRING', 'The plot in the bucket; null where nothing was fitted'),
]

/** One row an alert. */
export const salt2Shape: RowShape = {
  table: salt2TableName,
  columns: [...original, ...ours],
  key: ['objectId', 'candid'],
}

/** The row of a record. */
export function salt2Row(record: Omit<FitRecord, 'occurrence'>): Row {
  const { objectId, candid, codeVersion, analysis } = record
  const { fit, forecast, surroundings, points } = analysis
  const times = points.map(({ jd }) => mjdOf(jd))
  const priors = fit?.options.redshift.kind === 'priors' ? fit.options.redshift.priors : undefined
  return {
    shape: salt2Shape,
    values: {
      objectId,
      candid,
      success: analysis.success ? 1 : 0,
      ncall: fit?.evaluations ?? null,
      chisq: fit?.chisq ?? null,
      ndof: fit?.dof ?? null,
      ...parameterColumns(fit),
      plot_lc_bytes: null,
      reason: analysis.reason,
      message: analysis.message,
      z_mode: fit?.options.redshift.kind ?? null,
      priors: priors === undefined ? null : JSON.stringify(priors),
      prior_chisq: fit?.priorChisq ?? null,
      pull_x1: fit?.pulls?.x1 ?? null,
      pull_c: fit?.pulls?.c ?? null,
      pull_magnitude: fit?.pulls?.magnitude ?? null,
      mwebv: surroundings.mwebv,
      mwebv_source: surroundings.mwebvSource,
      n_points: fit?.nData ?? 0,
      ...Object.fromEntries(
        bands.map((band) => [`n_${band}`, fit?.nDataByBand[bandpassOf(band)] ?? 0]),
      ),
      first_mjd: times[0] ?? null,
      last_mjd: times.at(-1) ?? null,
      phase_first: fit?.phaseSpan[0] ?? null,
      phase_last: fit?.phaseSpan[1] ?? null,
      ...peakColumns(fit),
      before_maximum: fit === null ? null : fit.phaseSpan[1] < 0,
      ...forecastColumns(forecast),
      settings: analysis.settings,
      model: analysis.model,
      code_version: codeVersion,
      plot_lc: fit === null ? null : plotName(candid, 'png'),
    },
  }
}

function parameterColumns(fit: PlainFit | null): Record<string, number | null> {
  const columns: Record<string, number | null> = {}
  for (const p of parameterNames) {
    const row = fit?.free.indexOf(p) ?? -1
    columns[p] = fit?.parameters[p] ?? null
    columns[`${p}_err`] = row < 0 ? null : (fit?.errors[p] ?? null)
    for (const q of parameterNames) {
      const at = fit?.free.indexOf(q) ?? -1
      const covariance = row < 0 || at < 0 ? undefined : fit?.covariance[row]?.[at]
      columns[`${p}_${q}_cov`] = covariance ?? null
    }
  }
  return columns
}

function peakColumns(fit: PlainFit | null): Record<string, number | null> {
  const peak = fit?.peak
  const columns: Record<string, number | null> = {
    peak_mjd: peak?.time ?? null,
    peak_mjd_err: peak?.timeError ?? null,
    peak_mb: peak?.mB ?? null,
    peak_mb_err: peak?.mBError ?? null,
  }
  for (const band of bands) {
    const own = peak?.bands[bandpassOf(band)]
    columns[`peak_mjd_${band}`] = own?.time ?? null
    columns[`peak_mag_${band}`] = own?.mag ?? null
    columns[`peak_mag_${band}_err`] = own?.magError ?? null
  }
  return columns
}

function forecastColumns(forecast: PlainFit | null): Record<string, number | null> {
  const columns: Record<string, number | null> = {
    forecast_mjd: forecast?.peak.time ?? null,
    forecast_mjd_err: forecast?.peak.timeError ?? null,
    forecast_z: forecast?.parameters.z ?? null,
    forecast_z_err: forecast?.errors.z ?? null,
  }
  for (const band of bands) {
    const own = forecast?.peak.bands[bandpassOf(band)]
    columns[`forecast_mag_${band}`] = own?.mag ?? null
    columns[`forecast_mag_${band}_err`] = own?.magError ?? null
  }
  return columns
}

function column(name: string, type: Column['type'], description: string): Column {
  return { name, type, mode: 'NULLABLE', description }
}
