/** How light curves are chosen and fitted, as named configurations: a row says which one made it. */
import type { Bounds } from '../../salt2/options.ts'

/** What a light curve must have to be worth a fit. */
export interface QualityCuts {
  /** Flux over error from which a point counts as a detection; fainter than the reference never counts. */
  minSignal: number
  /** Detections, where they are in two bands or more. */
  minDetections: number
  /** Detections, where they are all in one band. */
  minDetectionsInOneBand: number
  /** So many of them within the days before the newest: an old light that flares up once is none. */
  minRecent: number
  recentDays: number
  /** Days from the first detection to the last. */
  minSpanDays: number
}

export interface FitSettings {
  name: string
  cuts: QualityCuts
  /** Part of the flux that is added to each error in quadrature: photometry is no better. */
  errorFloor: number
  /** Rest-frame days about maximum that take part; null: all. */
  phaseRange: Bounds | null
  /** Let the errors know how far the model itself can be trusted. */
  modelCovariance: boolean
  /** Bounds of a free redshift. */
  redshifts: Bounds
  /** Days before the newest point that are looked at: a supernova is over after half a year. */
  windowDays: number
}

/** Fewer points than parameters and a few, or a curve of a day, tell nothing of a supernova's shape. */
const standardCuts: QualityCuts = {
  minSignal: 5,
  minDetections: 5,
  minDetectionsInOneBand: 8,
  minRecent: 3,
  recentDays: 30,
  minSpanDays: 4,
}

/** What every alert is fitted with. */
export const standard: FitSettings = {
  name: 'standard',
  cuts: standardCuts,
  errorFloor: 0.02,
  phaseRange: [-15, 45],
  modelCovariance: true,
  redshifts: [0.001, 0.25],
  windowDays: 250,
}

/** What `sncosmo.fit_lc` does by itself, to compare with published numbers. */
export const plain: FitSettings = {
  name: 'plain',
  cuts: {
    minSignal: 5,
    minDetections: 5,
    minDetectionsInOneBand: 5,
    minRecent: 0,
    recentDays: 0,
    minSpanDays: 0,
  },
  errorFloor: 0,
  phaseRange: null,
  modelCovariance: false,
  redshifts: [0.001, 0.25],
  windowDays: Infinity,
}

/** Every configuration by its name. */
export const fitSettings = { standard, plain } as const
