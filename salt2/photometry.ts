/**
 * What a light curve is to the fit: arrays of equal length, in any order. Fluxes are signed difference
 * fluxes (a negative subtraction stays negative) on AB zero points.
 */
export interface Photometry {
  /**
   * Days, JD or MJD, one scale throughout. All dates in the result are on this scale. JD of our time
   * leaves 40 µs in a double, which is enough.
   */
  readonly time: ArrayLike<number>
  /** The bandpass of each point, by the name the model knows it under: `ztfg`, `ztfr`, `ztfi`. */
  readonly band: readonly string[]
  /** Flux in units of the zero point: an AB magnitude m is the flux 10^(0.4 (zeroPoint − m)). */
  readonly flux: ArrayLike<number>
  /** One standard deviation of `flux`, same unit. */
  readonly fluxError: ArrayLike<number>
  /** AB magnitude of flux 1: one for all points, or one a point. nJy is 31.4. */
  readonly zeroPoint: number | ArrayLike<number>
}
