/**
 * What a field of a ZTF or LSST packet means, in a few words of our own: packets carry no documentation,
 * and a table without it makes analysts guess. The surveys' own documents say more (ZTF: Masci et al.
 * 2019, PASP 131, 018003 and the alert schema; LSST: the Data Products Definition Document, LSE-163).
 */

const words: Readonly<Record<string, string>> = {
  // The packet
  schemavsn: 'Version of the schema that the packet was written with',
  publisher: 'Who sent the packet, in its own words',
  objectId: 'The object that the alert is about: all detections at one place share it',
  candid: 'The detection, a 64-bit number; null where nothing was detected',
  candidate: 'The detection that made the alert',
  prv_candidates: 'Detections and limits at this position in the days before',
  fp_hists: 'Forced photometry at this position on earlier exposures',

  // When, where, and on which detector
  jd: 'Start of the exposure, Julian date, UTC, days',
  fid: 'Filter: 1 g, 2 r, 3 i',
  pid: 'Processing of the science image, an identifier',
  programid: 'Whose time: 1 public survey, 2 partnership, 3 Caltech',
  programpi: 'Principal investigator of the programme',
  pdiffimfilename: 'File of the positive difference image',
  tblid: 'Row of the detection in the pipeline’s own table',
  nid: 'Night, an identifier',
  rcid: 'Readout channel, 0 to 63',
  field: 'Field of the survey’s grid',
  xpos: 'Column in the image, pixels',
  ypos: 'Row in the image, pixels',
  ra: 'Right ascension, J2000, degrees',
  dec: 'Declination, J2000, degrees',
  exptime: 'Length of the exposure, s',

  // Photometry
  magpsf: 'PSF-fit magnitude of the difference, AB',
  sigmapsf: 'Deviation of magpsf, mag',
  chipsf: 'Reduced chi-square of the PSF fit',
  magap: 'Aperture magnitude of the difference, AB',
  sigmagap: 'Deviation of magap, mag',
  magapbig: 'Aperture magnitude of the difference, wider aperture, AB',
  sigmagapbig: 'Deviation of magapbig, mag',
  isdiffpos: 't or 1: brighter than the reference; f or 0: fainter',
  diffmaglim: 'Faintest magnitude detectable in the difference image, 5 sigma, AB',
  magdiff: 'magap less magpsf, mag: far from 0 where the shape is not a star’s',
  magfromlim: 'diffmaglim less magap, mag',
  sky: 'Local sky level, DN',
  magzpsci: 'Zero point of the science image, mag',
  magzpsciunc: 'Uncertainty of magzpsci, mag',
  magzpscirms: 'Scatter of the calibrators about the photometric fit, mag',
  clrcoeff: 'Colour coefficient of the photometric calibration',
  clrcounc: 'Uncertainty of clrcoeff',
  zpclrcov: 'Covariance of zero point and colour coefficient',
  zpmed: 'Median zero point of the calibrators, mag',
  clrmed: 'Median colour of the calibrators, mag',
  clrrms: 'Scatter of the calibrators’ colours, mag',

  // Shape and trust
  fwhm: 'Width of the source at half maximum, pixels, a Gaussian assumed',
  classtar: 'Star or galaxy by SExtractor: 1 star, 0 galaxy',
  mindtoedge: 'Distance to the nearest edge of the image, pixels',
  seeratio: 'Width of the difference image’s stars over that of the source',
  aimage: 'Major axis of the profile, pixels',
  bimage: 'Minor axis of the profile, pixels',
  aimagerat: 'aimage over fwhm',
  bimagerat: 'bimage over fwhm',
  elong: 'aimage over bimage: how drawn-out the source is',
  nneg: 'Negative pixels in a 5 by 5 stamp',
  nbad: 'Bad pixels in a 5 by 5 stamp',
  rb: 'Real or bogus by random forest: 1 real, 0 bogus',
  rbversion: 'Version of the classifier that gave rb',
  drb: 'Real or bogus by deep learning: 1 real, 0 bogus',
  drbversion: 'Version of the classifier that gave drb',
  sumrat: 'Sum of the pixels over the sum of their absolute values',
  scorr: 'Peak signal to noise in the detection image',
  dsnrms: 'Difference image at the event over its own scatter',
  ssnrms: 'Science image at the event over its own scatter',
  dsdiff: 'dsnrms less ssnrms',
  tooflag: '1: the exposure was a target of opportunity',

  // What lies nearby
  distnr: 'Distance to the nearest source in the reference image, pixels',
  magnr: 'Magnitude of the nearest source in the reference image',
  sigmagnr: 'Deviation of magnr, mag',
  chinr: 'DAOPhot chi of the nearest source in the reference image',
  sharpnr: 'DAOPhot sharpness of the nearest source in the reference image',
  ranr: 'Right ascension of the nearest source in the reference image, degrees',
  decnr: 'Declination of the nearest source in the reference image, degrees',
  ssdistnr: 'Distance to the nearest known Solar System object, arcsec; -999: none',
  ssmagnr: 'Predicted V magnitude of the nearest known Solar System object; -999: none',
  ssnamenr: 'Name of the nearest known Solar System object',
  nmtchps: 'Pan-STARRS sources within 30 arcsec',
  nmatches: 'Pan-STARRS calibrators used for the photometric fit',
  neargaia: 'Distance to the nearest Gaia source, any brightness, arcsec; -999: none',
  neargaiabright: 'Distance to the nearest Gaia source brighter than 14 mag, arcsec; -999: none',
  maggaia: 'Gaia G magnitude of the nearest source; -999: none',
  maggaiabright: 'Gaia G magnitude of the nearest bright source; -999: none',

  // History and reference
  ndethist: 'Detections at this position (1.5 arcsec) in the whole survey',
  ncovhist: 'Exposures of this position in the whole survey',
  jdstarthist: 'First detection that ndethist counts, Julian date, days',
  jdendhist: 'Last detection that ndethist counts, Julian date, days',
  rfid: 'Reference image, an identifier',
  jdstartref: 'First exposure in the reference image, Julian date, days',
  jdendref: 'Last exposure in the reference image, Julian date, days',
  nframesref: 'Exposures in the reference image',

  // Forced photometry
  sciinpseeing: 'Seeing of the science image, pixels',
  scibckgnd: 'Background of the science image, DN',
  scisigpix: 'Noise of the science image, DN a pixel',
  adpctdif1: 'Scatter of the astrometry about Gaia in right ascension, arcsec',
  adpctdif2: 'Scatter of the astrometry about Gaia in declination, arcsec',
  forcediffimflux: 'Forced flux in the difference image, DN; -99999: none',
  forcediffimfluxunc: 'Deviation of forcediffimflux, DN; -99999: none',
  procstatus: 'Codes of what went wrong in forced photometry; 0: nothing',

  // LSST: identity and time
  alertId: 'The alert, a 64-bit number',
  diaSource: 'The detection that made the alert',
  diaSourceId: 'The detection, a 64-bit number',
  parentDiaSourceId: 'The source that this one was deblended from',
  diaObject: 'The object that the detection was associated with',
  diaObjectId: 'The object, a 64-bit number',
  diaForcedSourceId: 'The forced measurement, a 64-bit number',
  ssObject: 'What is known of the Solar System object that this is',
  ssObjectId: 'The Solar System object, a 64-bit number',
  ssSource: 'The detection as one of a Solar System object',
  prvDiaSources: 'Detections of the object in the twelve months before',
  prvDiaForcedSources: 'Forced photometry at the object’s position',
  prvDiaNondetectionLimits: 'Limits at this position in the days before',
  visit: 'Exposure that the measurement is from, an identifier',
  detector: 'CCD that the measurement is from',
  ccdVisitId: 'Exposure and CCD, an identifier',
  midpointMjdTai: 'Middle of the exposure, MJD, TAI, days',
  radecMjdTai: 'When the object was at ra and dec, MJD, TAI, days',
  band: 'Filter: u g r i z y',
  exposureTime: 'Length of the exposure, s',
  time_processed: 'When the record was made',
  time_withdrawn: 'When the record was found to be invalid',
  timeProcessedMjdTai: 'When the record was made, MJD, TAI, days',
  timeWithdrawnMjdTai: 'When the record was found to be invalid, MJD, TAI, days',
  validityStart: 'When the record began to hold',
  validityStartMjdTai: 'When the record began to hold, MJD, TAI, days',
  observation_reason: 'Why the exposure was taken',
  target_name: 'What the exposure was of',
  bboxSize: 'Side of the square stamp that holds the footprint, pixels',

  // LSST: measurement
  x: 'Column of the centroid, pixels',
  y: 'Row of the centroid, pixels',
  snr: 'Signal to noise at which the source was detected',
  apFlux: 'Aperture flux of the difference, nJy',
  psfFlux: 'Point-source flux of the difference, nJy',
  psfRa: 'Right ascension of the point-source fit, degrees',
  psfDec: 'Declination of the point-source fit, degrees',
  trailFlux: 'Flux of the trailed-source fit, nJy',
  trailRa: 'Right ascension of the trail’s middle, degrees',
  trailDec: 'Declination of the trail’s middle, degrees',
  trailLength: 'Length of the trail, arcsec',
  trailAngle: 'Bearing of the trail, degrees',
  trailAlgorithm: 'Which algorithm fitted the trail',
  dipoleMeanFlux: 'Mean of the two lobes of the dipole fit, nJy',
  dipoleFluxDiff: 'Difference of the two lobes of the dipole fit, nJy',
  dipoleRa: 'Right ascension of the dipole’s middle, degrees',
  dipoleDec: 'Declination of the dipole’s middle, degrees',
  dipoleLength: 'Distance of the dipole’s lobes, arcsec',
  dipoleAngle: 'Bearing from the negative to the positive lobe, degrees',
  dipoleFitAttempted: 'A dipole was fitted',
  isDipole: 'The dipole fit is the better one',
  snapDiffFlux: 'Difference of the two snaps of the visit, nJy',
  fpBkgd: 'Background at the source',
  scienceFlux: 'Forced flux in the science image, nJy',
  templateFlux: 'Forced flux in the template, nJy',
  diaNoise: 'Noise of the difference image at the position, nJy',
  ixx: 'Adaptive second moment of the source along x',
  iyy: 'Adaptive second moment of the source along y',
  ixy: 'Adaptive second moment of the source, mixed',
  ixxPSF: 'Adaptive second moment of the PSF along x',
  iyyPSF: 'Adaptive second moment of the PSF along y',
  ixyPSF: 'Adaptive second moment of the PSF, mixed',
  extendedness: '0: point source, 1: extended',
  medianExtendedness: 'Median extendedness of the detections',
  reliability: 'Real or bogus by machine learning: 1 real, 0 bogus',
  reliabilityVersion: 'Version of the classifier that gave reliability',
  isNegative: 'The source is fainter than the template',
  is_negative: 'The source is fainter than the template',
  glint_trail: 'The source lies in a row of glints, as a tumbling satellite leaves them',
  pixelFlags: 'A flag of any kind is set on a pixel of the source',

  // LSST: the object
  pmRa: 'Proper motion in right ascension, mas a year',
  pmDec: 'Proper motion in declination, mas a year',
  parallax: 'Parallax, mas',
  pmParallax: 'Fit of proper motion and parallax',
  nDiaSources: 'Detections of the object',
  firstDiaSourceMjdTai: 'First detection of the object, MJD, TAI, days',
  lastDiaSourceMjdTai: 'Last detection of the object, MJD, TAI, days',

  // LSST: the Solar System
  discoverySubmissionDate: 'When the object was submitted as discovered, MJD, days',
  firstObservationDate: 'First observation by LSST, MJD, days',
  firstObservationMjdTai: 'First observation by LSST, MJD, TAI, days',
  arc: 'Time between first and last observation, days',
  numObs: 'Observations by LSST',
  nObs: 'Observations by LSST',
  designation: 'Name of the object, unpacked',
  MOID: 'Least distance of the orbit from Earth’s, au',
  MOIDEarth: 'Least distance of the orbit from Earth’s, au',
  MOIDTrueAnomaly: 'True anomaly at the least distance, degrees',
  MOIDEclipticLongitude: 'Ecliptic longitude at the least distance, degrees',
  MOIDDeltaV: 'Relative speed at the least distance',
  tisserand_J: 'Tisserand parameter with respect to Jupiter',
  eclipticLambda: 'Ecliptic longitude, degrees',
  eclipticBeta: 'Ecliptic latitude, degrees',
  eclLambda: 'Ecliptic longitude, degrees',
  eclBeta: 'Ecliptic latitude, degrees',
  galacticL: 'Galactic longitude, degrees',
  galacticB: 'Galactic latitude, degrees',
  galLon: 'Galactic longitude, degrees',
  galLat: 'Galactic latitude, degrees',
  elongation: 'Angle between object and Sun, degrees',
  phaseAngle: 'Angle between Sun and Earth as seen from the object, degrees',
  heliocentricDist: 'Distance from the Sun, au',
  helioRange: 'Distance from the Sun, au',
  helioRangeRate: 'Radial velocity away from the Sun',
  topocentricDist: 'Distance from the observatory, au',
  topoRange: 'Distance from the observatory, au',
  topoRangeRate: 'Radial velocity away from the observatory',
  predictedVMagnitude: 'V magnitude that the orbit predicts',
  ephVmag: 'V magnitude that the orbit predicts',
  ephRa: 'Right ascension that the orbit predicts, degrees',
  ephDec: 'Declination that the orbit predicts, degrees',
  ephRate: 'Predicted motion on the sky',
  ephRateRa: 'Predicted motion in right ascension, times cos(dec)',
  ephRateDec: 'Predicted motion in declination',
  ephOffset: 'Distance from the predicted position',
  ephOffsetRa: 'Offset from the prediction in right ascension, times cos(dec)',
  ephOffsetDec: 'Offset from the prediction in declination',
  ephOffsetAlongTrack: 'Offset from the prediction along the motion',
  ephOffsetCrossTrack: 'Offset from the prediction across the motion',
  residualRa: 'Offset from the prediction in right ascension, degrees',
  residualDec: 'Offset from the prediction in declination, degrees',
  diaDistanceRank: '1: the detection nearest to the predicted position, 2: the second, and so on',
  MPCORB: 'Orbit in the catalogue of the Minor Planet Center',
  mpc_orbits: 'Orbit in the catalogue of the Minor Planet Center',
  id: 'Row in the catalogue',
  mpcDesignation: 'Name of the object, packed as the Minor Planet Center does',
  packed_primary_provisional_designation: 'Provisional name, packed',
  unpacked_primary_provisional_designation: 'Provisional name, unpacked',
  mpc_orb_jsonb: 'The whole entry of the catalogue as JSON',
  created_at: 'When the entry was made',
  updated_at: 'When the entry was last changed',
  orbit_type_int: 'Kind of orbit, the Minor Planet Center’s number',
  u_param: 'Uncertainty of the orbit, 0 (best) to 9',
  nopp: 'Oppositions in which the object was seen',
  arc_length_total: 'Time between first and last observation, days',
  arc_length_sel: 'Time between first and last observation that the fit uses, days',
  nobs_total: 'Observations',
  nobs_total_sel: 'Observations that the fit uses',
  mpcH: 'Absolute magnitude H',
  h: 'Absolute magnitude H',
  g: 'Slope parameter G',
  epoch: 'When the orbital elements hold, MJD, days',
  epoch_mjd: 'When the orbital elements hold, MJD, days',
  a: 'Semi-major axis, au',
  q: 'Perihelion distance, au',
  e: 'Eccentricity',
  i: 'Inclination, degrees',
  incl: 'Inclination, degrees',
  node: 'Longitude of the ascending node, degrees',
  peri: 'Argument of perihelion, degrees',
  argperi: 'Argument of perihelion, degrees',
  peri_time: 'Time of perihelion, MJD, days',
  t_p: 'Time of perihelion, MJD, days',
  M: 'Mean anomaly, degrees',
  mean_anomaly: 'Mean anomaly, degrees',
  mean_motion: 'Mean motion, degrees a day',
  period: 'Orbital period, days',
  yarkovsky: 'Yarkovsky drift, 1e-10 au a day squared',
  srp: 'Solar radiation pressure, m squared a tonne',
  a1: 'Non-gravitational acceleration A1',
  a2: 'Non-gravitational acceleration A2',
  a3: 'Non-gravitational acceleration A3',
  dt: 'Delay of the non-gravitational acceleration',
  normalized_rms: 'Residual of the fit, normalized',
  not_normalized_rms: 'Residual of the fit, arcsec',
  earth_moid: 'Least distance of the orbit from Earth’s, au',
  fitting_datetime: 'When the orbit was fitted',
}

/** Names that a survey makes by rule. The first that fits speaks. */
const rules: readonly [RegExp, (parts: string[]) => string][] = [
  [
    /^(s[griz])mag([123])$/,
    ([filter, n]) => `Pan-STARRS ${filter?.slice(1)} of ${nth(n)}, mag; -999: none`,
  ],
  [
    /^sgscore([123])$/,
    ([n]) => `Star or galaxy by Pan-STARRS of ${nth(n)}: 1 star, 0 galaxy; -999: none`,
  ],
  [/^distpsnr([123])$/, ([n]) => `Distance to ${nth(n)}, arcsec; -999: none`],
  [/^objectidps([123])$/, ([n]) => `Identifier of ${nth(n)}`],
  [
    /^nearbyObj([123])$/,
    ([n]) => `The ${rank(n)} nearest object of the data release, an identifier`,
  ],
  [/^nearbyObj([123])Dist$/, ([n]) => `Distance to the ${rank(n)} nearest object, arcsec`],
  [/^nearbyObj([123])LnP$/, ([n]) => `Log probability that this is the ${rank(n)} nearest object`],
  [/^([ugrizy])_(psf|science|fp)Flux(\w+)$/, ([band, of, what]) => fluxOf(band, of, what)],
  [/^([ugrizy])_(H|G12|Chi2|Ndata|HErr|G12Err|H_\w+_Cov)$/, ([band, what]) => phaseOf(band, what)],
  [
    /^(helio|topo)(?:centric)?_?(v?)([XYZxyz]|tot|V[XYZ])$/,
    ([from, v, axis]) => vectorOf(from, v, axis),
  ],
  [
    /^(\w+?)_flag(?:_(\w+))?$/,
    ([of, what]) => `The measurement of ${of} failed${what ? `: ${spaced(what)}` : ''}`,
  ],
  [/^pixelFlags_(\w+)$/, ([what]) => `Pixels of the source are flagged: ${spaced(what)}`],
  [/^(\w+)_(\w+)_Cov$/, ([one, other]) => `Covariance of ${one} and ${other}`],
  [/^(\w+)_unc$/, ([of]) => `Deviation of ${of}`],
  [/^(\w+)Err$/, ([of]) => `Deviation of ${of}, in its unit`],
  [/^(\w+)LnL$/, ([of]) => `Log likelihood of the fit: ${of}`],
  [/^(\w+)Chi2$/, ([of]) => `Chi-square of the fit: ${of}`],
  [/^(\w+)Ndata$/, ([of]) => `Data points of the fit: ${of}`],
]

/** What a field means, by its name; undefined for a name that we know nothing of. */
export function descriptionOf(name: string): string | undefined {
  if (Object.hasOwn(words, name)) return words[name]
  for (const [pattern, say] of rules) {
    const match = pattern.exec(name)
    if (match !== null) return say(match.slice(1))
  }
  return undefined
}

const rank = (n = ''): string => ({ '2': 'second', '3': 'third' })[n] ?? 'first'

const nth = (n?: string): string =>
  `the ${n === '1' ? '' : `${rank(n)} `}nearest Pan-STARRS source within 30 arcsec`

const spaced = (text = ''): string =>
  text
    .replaceAll('_', ' ')
    .replaceAll(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`)

const statistics: Readonly<Record<string, string>> = {
  Mean: 'Weighted mean',
  MeanErr: 'Deviation of the mean',
  ErrMean: 'Mean of the deviations',
  Sigma: 'Scatter',
  Chi2: 'Chi-square about the mean',
  Ndata: 'Number',
  Min: 'Least',
  Max: 'Greatest',
  MaxSlope: 'Steepest change (nJy a day)',
}

function fluxOf(band = '', of = '', what = ''): string {
  const where =
    of === 'psf' ? 'point-source fluxes of the difference' : 'fluxes in the science image'
  return `${statistics[what] ?? spaced(what)} of the object’s ${where} in ${band}, nJy`
}

function phaseOf(band = '', what = ''): string {
  if (what.endsWith('_Cov')) return `Covariance of H and G12 in ${band}`
  const of = {
    H: 'Absolute magnitude H',
    G12: 'Slope parameter G12',
    Chi2: 'Chi-square',
    Ndata: 'Data points',
  }
  const base = of[what.replace('Err', '') as keyof typeof of]
  return `${what.endsWith('Err') ? `Deviation of ${base}` : base} of the phase curve in ${band}`
}

function vectorOf(from = '', v = '', axis = ''): string {
  const origin = from === 'helio' ? 'the Sun' : 'the observatory'
  const moves = v !== '' || axis.startsWith('V')
  if (axis === 'tot') return `Speed with respect to ${origin}`
  const along = axis.at(-1)?.toLowerCase()
  return moves
    ? `Velocity with respect to ${origin}, ${along}`
    : `Position with respect to ${origin}, ${along}, au`
}
