import { NightjarError } from '../core/errors.ts'
import { compileProjector, hasPath } from './project.ts'
import type { RecordType, Schema } from './schema.ts'
import { declaredVersion, mainRecord, parseLsst } from './version.ts'

/**
 * Who an alert is, and its place in time and sky. For ZTF `candid` is the candidate's id and `jd` is
 * UTC. ZTF 1.1 and 1.2 had an `alertId` and named no objects yet: there the object of alert 98765 is
 * `alert98765`. For LSST `objectId` is the diaObjectId, or the ssObjectId of a moving object, `candid`
 * is the diaSourceId, and `jd` is midpointMjdTai + 2400000.5 and so TAI. `ra` and `dec` are degrees,
 * J2000.
 */
export interface AlertKey {
  objectId: string
  candid: bigint
  jd?: number
  /** ZTF's filter: 1 g, 2 r, 3 i. */
  fid?: number
  version?: string
  ra?: number
  dec?: number
}

/** Find the key of a datum that begins at 0. Throws `alert_unidentified`. */
export type Identifier = (data: Uint8Array) => AlertKey

type Path = readonly string[]

// Each fact may stand in several places; the first place that the schema has is read.
const places = {
  objectId: [['objectId'], ['diaSource', 'diaObjectId']],
  movingId: [['diaSource', 'ssObjectId']],
  candid: [
    ['candid'],
    ['candidate', 'candid'],
    ['diaSourceId'],
    ['diaSource', 'diaSourceId'],
    ['alertId'],
  ],
  jd: [['candidate', 'jd']],
  mjd: [
    ['diaSource', 'midpointMjdTai'],
    ['diaSource', 'midPointTai'],
  ],
  fid: [['candidate', 'fid']],
  version: [['schemavsn'], ['lsst_schema_version']],
  ra: [
    ['candidate', 'ra'],
    ['diaSource', 'ra'],
  ],
  dec: [
    ['candidate', 'dec'],
    ['diaSource', 'dec'],
    ['diaSource', 'decl'],
  ],
} as const satisfies Record<string, readonly [Path, ...Path[]]>

// Test packets name the object only here, behind the histories: looked at only if need be.
const parents: readonly Path[] = [
  ['diaObject', 'diaObjectId'],
  ['ssObject', 'ssObjectId'],
  ['ssSource', 'ssObjectId'],
]

// Stands in for the name where a schema has no place for one, as in ZTF 1.1 and 1.2.
const alertNumber: Path = ['alertId']

const identifiers = new WeakMap<Schema, Identifier>()

/** The identifier of a schema, compiled once. */
export function identifierOf(schema: Schema): Identifier {
  let identify = identifiers.get(schema)
  if (!identify) identifiers.set(schema, (identify = createIdentifier(schema)))
  return identify
}

function createIdentifier(schema: Schema): Identifier {
  const main = mainRecord(schema)
  const place = (choices: readonly [Path, ...Path[]]) =>
    choices.find((path) => main && hasPath(main, path)) ?? choices[0]
  const project = compileProjector(schema, [
    place(places.objectId),
    place(places.movingId),
    place(places.candid),
    place(places.jd),
    place(places.mjd),
    place(places.fid),
    place(places.version),
    place(places.ra),
    place(places.dec),
  ])
  const projectParents = compileProjector(schema, parents)
  const projectNumber = isUnnamed(main) ? compileProjector(schema, [alertNumber]) : undefined
  const declared = declaredVersion(schema)

  return function identify(data) {
    const [object, moving, source, jd, mjd, fid, written, ra, dec] = project(data, 0)
    const objectId = parseObjectId(object) ?? parseObjectId(moving) ?? parentOf(data)
    const candid = parseCandid(source)
    if (objectId === undefined || candid === undefined) throw unidentified(schema, objectId)

    const key: AlertKey = { objectId, candid }
    const version = typeof written === 'string' ? (parseLsst(written) ?? written) : declared
    if (version !== undefined) key.version = version
    if (typeof jd === 'number') key.jd = jd
    else if (typeof mjd === 'number') key.jd = mjd + 2400000.5
    if (typeof fid === 'number' || typeof fid === 'bigint') key.fid = Number(fid)
    if (typeof ra === 'number') key.ra = ra
    if (typeof dec === 'number') key.dec = dec
    return key
  }

  function parentOf(data: Uint8Array): string | undefined {
    for (const id of projectParents(data, 0)) {
      const objectId = parseObjectId(id)
      if (objectId !== undefined) return objectId
    }
    const number = projectNumber?.(data, 0)[0]
    return number === undefined ? undefined : `alert${number}`
  }
}

/** True where a schema numbers alerts and candidates and has no place for the name of an object. */
function isUnnamed(main: RecordType | undefined): boolean {
  if (!main || [...places.objectId, ...places.movingId, ...parents].some(isIn)) return false
  return ['alertId', 'candid'].every((name) =>
    main.fields.some((field) => field.name === name && field.type.kind === 'long'),
  )

  function isIn(path: Path): boolean {
    return main !== undefined && hasPath(main, path)
  }
}

// LSST writes 0 where a source belongs to no object of that kind.
function parseObjectId(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' ? undefined : value
  if (typeof value === 'bigint' || typeof value === 'number') return value ? `${value}` : undefined
  return undefined
}

function parseCandid(value: unknown): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  if (typeof value === 'string' && /^-?\d{1,19}$/.test(value)) return BigInt(value)
  return undefined
}

function unidentified(schema: Schema, objectId: string | undefined): NightjarError {
  const missing = objectId === undefined ? 'objectId' : 'candid'
  const name = mainRecord(schema)?.name ?? schema.root.kind
  return new NightjarError(
    'alert_unidentified',
    `Cannot identify alert: a record of "${name}" has no ${missing}`,
  )
}
