/**
 * A ZTF alert as a VOEvent 2.0. ZTF publishes none and nobody's mapping is standard; this one follows the
 * practice of 4PiSky and Gaia: who and when, the photometry and the quality as groups of parameters with
 * UCDs, the position with its error, and what was inferred of it under Why. Stamps are not carried.
 */
import { escapeXml } from './transport.ts'

/** What is foretold of a supernova candidate. */
export interface Forecast {
  /** Date of maximum, MJD UTC, and its deviation in days. */
  mjd: number
  mjdError: number
  /** AB magnitude at maximum in a band, and its deviation. */
  magnitude?: { band: string; value: number; error: number }
}

export interface FromZtf {
  /** A decoded packet. */
  record: Readonly<Record<string, unknown>>
  /** Our identifier; the event's is made of it. */
  localIvo: string
  at: Date
  forecast?: Forecast
  /** The alert passed the filter for extragalactic transients. */
  extragalactic?: boolean
}

/** Astrometric error of an alert's position, degrees: 0.085″ (Masci et al. 2019, PASP 131, 018003). */
const positionError = 2.36e-5

const filterNames: Readonly<Record<number, string>> = { 1: 'g', 2: 'r', 3: 'i' }

/** The IVORN of an alert. */
export const ivornOf = (localIvo: string, objectId: string, candid: string): string =>
  `${localIvo}/ztf#${objectId}_${candid}`

/** The IVORN of what is foretold because of an alert: an event of its own, which follows up the alert's. */
export const forecastIvornOf = (localIvo: string, objectId: string, candid: string): string =>
  `${ivornOf(localIvo, objectId, candid)}_salt2`

/** Write the event. */
export function fromZtf({ record, localIvo, at, forecast, extragalactic }: FromZtf): Buffer {
  const candidate = fields(record['candidate'])
  const objectId = String(record['objectId'])
  const candid = String(record['candid'] ?? candidate['candid'])
  const jd = Number(candidate['jd'])
  const filter = filterNames[Number(candidate['fid'])]
  const of = (name: string): unknown => candidate[name]

  const what = [
    param('objectId', objectId, 'meta.id'),
    param('candid', candid, 'meta.id'),
    param('schemavsn', record['schemavsn'], 'meta.version'),
    group('photometry', [
      param('fid', of('fid'), 'meta.code', undefined, 'int'),
      param('filter', filter, 'instr.bandpass'),
      param('magpsf', of('magpsf'), 'phot.mag', 'mag', 'float'),
      param('sigmapsf', of('sigmapsf'), 'stat.error;phot.mag', 'mag', 'float'),
      param('diffmaglim', of('diffmaglim'), 'phot.mag;stat.max', 'mag', 'float'),
      param('isdiffpos', of('isdiffpos'), 'meta.code'),
    ]),
    group('quality', [
      param('rb', of('rb'), 'stat.probability', undefined, 'float'),
      param('drb', of('drb'), 'stat.probability', undefined, 'float'),
      param('classtar', of('classtar'), 'src.class.starGalaxy', undefined, 'float'),
      param('ndethist', of('ndethist'), 'meta.number', undefined, 'int'),
    ]),
    group('ps1', [
      param('distpsnr1', of('distpsnr1'), 'pos.angDistance', 'arcsec', 'float'),
      param('sgscore1', of('sgscore1'), 'src.class.starGalaxy', undefined, 'float'),
    ]),
    ...(forecast === undefined ? [] : [forecastGroup(forecast)]),
  ]
  const why =
    extragalactic === true
      ? '<Why><Inference><Concept>stat.likelihood;src.class</Concept><Name>extragalactic transient candidate</Name></Inference></Why>'
      : ''
  const previous = forecast === undefined ? previousOf(record, candid) : candid
  const ivorn = (forecast === undefined ? ivornOf : forecastIvornOf)(localIvo, objectId, candid)
  const citations =
    previous === undefined
      ? ''
      : `<Citations><EventIVORN cite="followup">${escapeXml(ivornOf(localIvo, objectId, previous))}</EventIVORN></Citations>`
  return Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>
<voe:VOEvent xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.ivoa.net/xml/VOEvent/v2.0 http://www.ivoa.net/xml/VOEvent/VOEvent-v2.0.xsd" version="2.0" role="observation" ivorn="${escapeXml(ivorn)}">
<Who><AuthorIVORN>${escapeXml(localIvo)}</AuthorIVORN><Date>${wholeSeconds(at)}</Date></Who>
<What>${what.join('\n')}</What>
<WhereWhen><ObsDataLocation><ObservatoryLocation id="Palomar"/><ObservationLocation><AstroCoordSystem id="UTC-ICRS-TOPO"/><AstroCoords coord_system_id="UTC-ICRS-TOPO"><Time unit="s"><TimeInstant><ISOTime>${isoOf(jd)}</ISOTime></TimeInstant></Time><Position2D unit="deg"><Name1>RA</Name1><Name2>Dec</Name2><Value2><C1>${Number(of('ra'))}</C1><C2>${Number(of('dec'))}</C2></Value2><Error2Radius>${positionError}</Error2Radius></Position2D></AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>
<How><Description>Zwicky Transient Facility, difference image; the time is the start of the exposure</Description><Reference uri="https://www.ztf.caltech.edu"/></How>
${why}${citations}
</voe:VOEvent>
`,
  )
}

function forecastGroup({ mjd, mjdError, magnitude }: Forecast): string {
  return group('forecast', [
    param('peak_mjd', mjd, 'time.peak', 'd', 'float'),
    param('peak_mjd_err', mjdError, 'stat.error;time.peak', 'd', 'float'),
    ...(magnitude === undefined
      ? []
      : [
          param('peak_filter', magnitude.band, 'instr.bandpass'),
          param('peak_mag', magnitude.value, 'phot.mag;stat.min', 'mag', 'float'),
          param('peak_mag_err', magnitude.error, 'stat.error;phot.mag', 'mag', 'float'),
        ]),
  ])
}

/** What the packet does not say is not said. */
function param(
  name: string,
  value: unknown,
  ucd: string,
  unit?: string,
  dataType?: string,
): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'number' && !Number.isFinite(value) ? '' : String(value)
  if (text === '') return ''
  const typed = dataType === undefined ? '' : ` dataType="${dataType}"`
  const measured = unit === undefined ? '' : ` unit="${unit}"`
  return `<Param name="${name}" value="${escapeXml(text)}" ucd="${ucd}"${measured}${typed}/>`
}

const group = (name: string, params: readonly string[]): string =>
  `<Group name="${name}">${params.join('')}</Group>`

/** The candid of the object's latest earlier detection. */
function previousOf(record: Readonly<Record<string, unknown>>, candid: string): string | undefined {
  const history = Array.isArray(record['prv_candidates']) ? record['prv_candidates'] : []
  let latest: { jd: number; candid: string } | undefined
  for (const entry of history) {
    const { jd, candid: id } = fields(entry)
    if (id === null || id === undefined || String(id) === candid) continue
    if (latest === undefined || Number(jd) > latest.jd)
      latest = { jd: Number(jd), candid: String(id) }
  }
  return latest?.candid
}

const fields = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? { ...value } : {}

const wholeSeconds = (at: Date): string => at.toISOString().replace(/\.\d+Z$/, 'Z')

/** A Julian date (UTC) as VOEvent writes times: no zone, the coordinate system says it. */
const isoOf = (jd: number): string =>
  Number.isFinite(jd)
    ? new Date((jd - 2_440_587.5) * 86_400_000).toISOString().replace('Z', '')
    : ''
