/** A SALT model ready to be fitted: compact tables, or the full model they are made from. */
export interface Model {
  /** For rows and captions: `salt2-4`, `salt3-f22`. */
  readonly name: string
  /** What to cite. */
  readonly citation: string
  /** The bandpasses it knows. */
  readonly bands: readonly string[]
  /** Redshifts within which it can be fitted. */
  readonly redshiftRange: readonly [number, number]
}
