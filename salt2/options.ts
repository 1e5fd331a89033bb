/** The redshift of a fit: known, or one of its free parameters. */
export type Redshift =
  | { readonly kind: 'fixed'; readonly z: number }
  /** Free within bounds: honest, but a supernova's colours alone hardly tell its redshift. */
  | { readonly kind: 'free'; readonly min: number; readonly max: number }
  /** Free within bounds, held by what is known of SNe Ia: the peak forecast. */
  | {
      readonly kind: 'priors'
      readonly min: number
      readonly max: number
      readonly priors?: Priors
    }

/**
 * Gaussian priors as three more residuals, so that brightness tells the redshift. The absolute magnitude
 * is M = −2.5 log10 x0 + 10.635 − μ(z) + α x1 − β c, with μ of a flat universe to second order in z.
 * Values from the literature, not tuned.
 */
export interface Priors {
  /** Deviation of x1 about 0. */
  readonly x1: number
  /** Deviation of c about 0. */
  readonly c: number
  /** Absolute magnitude in B, standardised, and its deviation. */
  readonly absoluteMagnitude: number
  readonly magnitudeDeviation: number
  /** Stretch and colour corrections of Tripp (1998). */
  readonly alpha: number
  readonly beta: number
  /** Hubble constant, km/s/Mpc, and deceleration parameter. */
  readonly hubbleConstant: number
  readonly deceleration: number
}

export const defaultPriors: Priors = {
  x1: 1.2,
  c: 0.15,
  absoluteMagnitude: -19.15,
  magnitudeDeviation: 0.3,
  alpha: 0.14,
  beta: 3.0,
  hubbleConstant: 70,
  deceleration: -0.55,
}

/**
 * Milky Way dust in the observer's frame: Cardelli, Clayton & Mathis (1989), its optical part as of
 * O'Donnell (1994), or Fitzpatrick (1999; tables hold it for R_V 3.1 only).
 */
export type DustLaw = 'ccm89' | 'odonnell94' | 'f99'

/** Lower and upper bound. */
export type Bounds = readonly [number, number]

export interface FitOptions {
  readonly redshift: Redshift
  /** E(B−V) of the Milky Way towards the object, mag. Default 0. */
  readonly mwebv?: number
  /** Default `ccm89` with R_V 3.1, as in ZTF's own analyses. */
  readonly dustLaw?: DustLaw
  readonly rv?: number
  /**
   * Add the model's own covariance (of the last best fit, held while the next is sought, until nothing
   * moves by more than a tenth of its error). Default true.
   */
  readonly modelCovariance?: boolean
  /**
   * Rest-frame days about t0 within which points take part; iterated until the choice is stable. The
   * model knows −20 … 50 and is exactly 0 beyond, so `null`, no cut, invites discontinuities. Default
   * −15 … 45.
   */
  readonly phaseRange?: Bounds | null
  /** A fraction of the flux, added to each error in quadrature. Default 0. */
  readonly errorFloor?: number
  /** At least this many points must take part. Default 5. */
  readonly minPoints?: number
  /** At least one point must have this flux over error. Default 5. */
  readonly minSignal?: number
  /** Bounds of the date of maximum, on the scale of the photometry. Default: as far as data allow. */
  readonly t0?: Bounds
  /** Default −5 … 5. */
  readonly x1?: Bounds
  /** Default −1 … 2; beyond, tables say little. */
  readonly c?: Bounds
}
