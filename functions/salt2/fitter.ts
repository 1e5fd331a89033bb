/** What light curves are fitted with: the tables that come with the broker, or a full model. */
import { modelCurve } from '../../salt2/curve.ts'
import { fitSalt2 } from '../../salt2/fit.ts'
import type { Fitter } from './analysis.ts'
import { loadModel } from './model-files.ts'

/** Open the model of a directory or, without one, the tables of SALT2-4 that are here. */
export async function openFitter(directory?: string): Promise<Fitter> {
  return { model: await loadModel(directory), fit: fitSalt2, curve: modelCurve }
}
