import { NightjarError } from '../core/errors.ts'
import { colourLaw, type ColourLaw } from './colour-law.ts'
import type { Grid } from './grid.ts'
import { numberRows } from './text.ts'

/**
 * A SALT model as it is published: rest-frame flux M0 + x1 M1 on a grid, a colour law, and how well it
 * describes real supernovae. Guy et al. 2007, A&A 466, 11 and 2010, A&A 523, A7; SALT3: Kenworthy et al.
 * 2021, ApJ 923, 265.
 */
export interface Source {
  readonly name: string
  readonly family: 'salt2' | 'salt3'
  /** erg/s/cm²/Å at x0 = 1. */
  readonly m0: Grid
  readonly m1: Grid
  readonly law: ColourLaw
  /**
   * Variance of M0 and of M1 and their covariance: SALT2, as fractions of the squared flux of M0; SALT3, in
   * squared flux.
   */
  readonly variance0: Grid
  readonly variance1: Grid
  readonly covariance: Grid
  /** SALT2 multiplies deviations by this; SALT3 has no such file. */
  readonly scaling: Grid | null
  /** Colour dispersion: a deviation, as a fraction of flux, common to all points of a band. */
  readonly dispersion: { readonly wave: Float64Array; readonly sigma: Float64Array }
}

/** The unit of the flux grids, and of SALT3's variances. */
const fluxUnit = 1e-12

/** Relative variance where the model has no flux, and a variance where its tables make a negative of it. */
export const unknowable = 10_000
export const leastVariance = 1e-4

/** The names of a family's files, without `.gz`. */
export const sourceFiles = {
  salt2: {
    m0: 'salt2_template_0.dat',
    m1: 'salt2_template_1.dat',
    law: 'salt2_color_correction.dat',
    variance0: 'salt2_lc_relative_variance_0.dat',
    variance1: 'salt2_lc_relative_variance_1.dat',
    covariance: 'salt2_lc_relative_covariance_01.dat',
    scaling: 'salt2_lc_dispersion_scaling.dat',
    dispersion: 'salt2_color_dispersion.dat',
  },
  salt3: {
    m0: 'salt3_template_0.dat',
    m1: 'salt3_template_1.dat',
    law: 'salt3_color_correction.dat',
    variance0: 'salt3_lc_variance_0.dat',
    variance1: 'salt3_lc_variance_1.dat',
    covariance: 'salt3_lc_covariance_01.dat',
    dispersion: 'salt3_color_dispersion.dat',
  },
} as const

/**
 * Read a model from the texts of its files, by name. Fails with `input_invalid` on a file that is
 * missing or is not the table it should be.
 */
export function parseSource(name: string, files: ReadonlyMap<string, string>): Source {
  const family = files.has(sourceFiles.salt3.m0) ? 'salt3' : 'salt2'
  const names = sourceFiles[family]
  const textOf = (file: string): string => {
    const text = files.get(file)
    if (text === undefined) {
      throw new NightjarError('input_invalid', `Cannot read model ${name}: it has no file ${file}`)
    }
    return text
  }
  const grid = (file: string, unit: number): Grid => parseGrid(textOf(file), file, unit)
  const unit = family === 'salt3' ? fluxUnit * fluxUnit : 1
  const dispersion = numberRows(textOf(names.dispersion), names.dispersion, 2)
  return {
    name,
    family,
    m0: grid(names.m0, fluxUnit),
    m1: grid(names.m1, fluxUnit),
    law: parseLaw(textOf(names.law), names.law),
    variance0: grid(names.variance0, unit),
    variance1: grid(names.variance1, unit),
    covariance: grid(names.covariance, unit),
    scaling: 'scaling' in names ? grid(names.scaling, 1) : null,
    dispersion: {
      wave: Float64Array.from(dispersion, (row) => row[0] ?? NaN),
      sigma: Float64Array.from(dispersion, (row) => row[1] ?? NaN),
    },
  }
}

/** Lines `phase wavelength value`, by phase, each phase with the same wavelengths. */
function parseGrid(text: string, file: string, unit: number): Grid {
  const rows = numberRows(text, file, 3)
  const first = rows[0]?.[0]
  const width = rows.findIndex((row) => row[0] !== first)
  const phases = rows.length / width
  if (width < 4 || phases < 4 || !Number.isInteger(phases)) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read ${file}: ${rows.length} lines are no grid of phase and wavelength`,
    )
  }
  return {
    phase: Float64Array.from({ length: phases }, (_, i) => rows[i * width]?.[0] ?? NaN),
    wave: Float64Array.from({ length: width }, (_, i) => rows[i]?.[1] ?? NaN),
    values: Float64Array.from(rows, (row) => (row[2] ?? NaN) * unit),
  }
}

/** How many there are, the coefficients, then words with the version and the range of the law. */
function parseLaw(text: string, file: string): ColourLaw {
  const words = text.split(/\s+/).filter((word) => word !== '')
  const count = Number(words[0])
  const coefficients = words.slice(1, count + 1).map(Number)
  if (!(count >= 1) || coefficients.length !== count || !coefficients.every(Number.isFinite)) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read ${file}: it begins with ${words.slice(0, 3).join(' ')}, not with coefficients`,
    )
  }
  const setting = (key: string, otherwise: number): number => {
    const at = words.indexOf(`Salt2ExtinctionLaw.${key}`)
    return at < 0 ? otherwise : Number(words[at + 1])
  }
  const version = setting('version', 1)
  const range = [setting('min_lambda', 3000), setting('max_lambda', 7000)] as const
  if (version !== 1 || !range.every(Number.isFinite)) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read ${file}: the colour law is of version ${version}, and only 1 is known`,
    )
  }
  return colourLaw(coefficients, range)
}

/** The colour dispersion at a rest-frame wavelength in Å: straight between samples, and beyond. */
export function dispersionAt({ dispersion }: Source, at: number): number {
  const { wave, sigma } = dispersion
  let i = 0
  while (i < wave.length - 2 && (wave[i + 1] ?? NaN) <= at) i += 1
  const left = wave[i] ?? NaN
  const low = sigma[i] ?? NaN
  return low + (((sigma[i + 1] ?? NaN) - low) * (at - left)) / ((wave[i + 1] ?? NaN) - left)
}
