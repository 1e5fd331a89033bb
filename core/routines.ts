/**
 * What analysts call by name beside the tables: functions of the data set, with the same names,
 * arguments and columns in BigQuery and DuckDB. This is their one source: the local warehouse makes
 * macros of it, the cloud stack makes routines of it.
 *
 * Each body is written in the SQL that both engines read; where they part, a word of the dialect
 * stands in. Bodies bind the tables when they are called, so they may be made before the first alert.
 */
import type { Survey } from './names.ts'
import type { Column, ColumnType } from './row.ts'

export type Dialect = 'bigquery' | 'duckdb'

export interface Routine {
  name: string
  description: string
  /** What it answers: one value of a type, or a table. */
  answers: 'INT64' | 'FLOAT64' | 'TABLE'
  parameters: readonly { name: string; type: 'STRING' | 'INT64' | 'FLOAT64' }[]
  /** An expression where it answers a value, a query where it answers a table. */
  body: string
}

/** Where a survey's packets say when and where an alert was seen. */
const columnsOf: Readonly<Record<Survey, { ra: string; dec: string; time: string }>> = {
  ztf: { ra: 'candidate.ra', dec: 'candidate.dec', time: 'candidate.jd' },
  lsst: { ra: 'diaSource.ra', dec: 'diaSource.dec', time: 'diaSource.midpointMjdTai' },
}

/** Degrees to radians, as SQL: BigQuery has no RADIANS. */
const rad = '0.017453292519943295e0'

/**
 * The nested HEALPix pixel, as SQL; `core/healpix.ts` says the same in TypeScript and names the paper.
 * Orders up to 29: bits are spread by halving steps within 64 bits.
 */
const healpixBody = `(
  SELECT (face << (2 * depth)) | ${spread('x')} | (${spread('y')} << 1)
  FROM (
    SELECT depth,
      CASE WHEN polar THEN IF(z >= 0, quarter, quarter + 8)
           WHEN rising >> depth = falling >> depth THEN ((rising >> depth) & 3) + 4
           WHEN rising >> depth < falling >> depth THEN (rising >> depth) & 3
           ELSE ((falling >> depth) & 3) + 8 END AS face,
      CASE WHEN polar THEN IF(z >= 0, last_one - falling, rising)
           ELSE falling & last_one END AS x,
      CASE WHEN polar THEN IF(z >= 0, last_one - rising, falling)
           ELSE last_one - (rising & last_one) END AS y
    FROM (
      SELECT depth, z, polar, last_one, CAST(FLOOR(tt) AS INT64) AS quarter,
        IF(polar, LEAST(CAST(FLOOR((tt - FLOOR(tt)) * reach) AS INT64), last_one),
           CAST(FLOOR(side * (0.5e0 + tt) - side * z * 0.75e0) AS INT64)) AS rising,
        IF(polar, LEAST(CAST(FLOOR((1 - (tt - FLOOR(tt))) * reach) AS INT64), last_one),
           CAST(FLOOR(side * (0.5e0 + tt) + side * z * 0.75e0) AS INT64)) AS falling
      FROM (
        SELECT depth, z, tt, (1 << depth) - 1 AS last_one, (1e0 * (1 << depth)) AS side,
          ABS(z) > 2e0 / 3 AS polar,
          (1e0 * (1 << depth)) * COS(lat * ${rad}) / SQRT((1 + ABS(z)) / 3) AS reach
        FROM (
          SELECT CAST(healpix_order AS INT64) AS depth, 1e0 * dec_deg AS lat,
            SIN(dec_deg * ${rad}) AS z,
            (1e0 * ra_deg - 360 * FLOOR(ra_deg / 360e0)) / 90 AS tt
        ) AS place
      ) AS scaled
    ) AS lines
  ) AS cell
)`

/** Put a zero bit between the bits of a number below 2^32. */
function spread(word: string): string {
  const masks = [
    [16, '281470681808895'], // 0x0000ffff0000ffff
    [8, '71777214294589695'], // 0x00ff00ff00ff00ff
    [4, '1085102592571150095'], // 0x0f0f0f0f0f0f0f0f
    [2, '3689348814741910323'], // 0x3333333333333333
    [1, '6148914691236517205'], // 0x5555555555555555
  ] as const
  return masks.reduce((bits, [by, mask]) => `((${bits} | (${bits} << ${by})) & ${mask})`, word)
}

/** The angle between two positions, degrees, by haversines: exact for small angles. */
const separationBody = `(
  2 / ${rad} * ASIN(SQRT(LEAST(1e0,
    POW(SIN((dec2 - dec1) * ${rad} / 2), 2)
      + COS(dec1 * ${rad}) * COS(dec2 * ${rad}) * POW(SIN((ra2 - ra1) * ${rad} / 2), 2))))
)`

/**
 * The least and the greatest order-29 pixel that a disc can touch. Points of a grid around the centre
 * are sure to fall into every pixel that the disc touches: pixels are chosen wider than the disc, the
 * grid is finer than they are fat, and it reaches a pixel beyond the disc. A wide disc is all sky.
 */
function rangeOf(end: 'lowest' | 'highest'): string {
  const edge =
    end === 'lowest'
      ? 'MIN(pixel) << (2 * (29 - MIN(depth)))'
      : '((MAX(pixel) + 1) << (2 * (29 - MIN(depth)))) - 1'
  const all = end === 'lowest' ? '0' : '3458764513820540927'
  return `(
    SELECT IF(radius_deg > 10, ${all}, ${edge})
    FROM (
      SELECT depth, healpix(
        ra_deg + ATAN2(
          SIN(bearing) * SIN(reach) * COS(dec_deg * ${rad}),
          COS(reach) - SIN(dec_deg * ${rad}) * SIN(lat)) / ${rad},
        lat / ${rad}, depth) AS pixel
      FROM (
        SELECT depth, bearing, reach,
          ASIN(GREATEST(-1e0, LEAST(1e0, SIN(dec_deg * ${rad}) * COS(reach)
            + COS(dec_deg * ${rad}) * SIN(reach) * COS(bearing)))) AS lat
        FROM (
          SELECT depth, ATAN2(i, j) AS bearing,
            SQRT(i * i + j * j) * 0.22e0 * 58.6e0 / (1e0 * (1 << depth)) * ${rad} AS reach
          FROM (
            SELECT CAST(GREATEST(0e0, LEAST(29e0,
              FLOOR(LN(29.3e0 / GREATEST(radius_deg, 1e-7)) / LN(2)))) AS INT64) AS depth
          ) AS chosen
          CROSS JOIN (${steps('i')}) AS rows_of_grid
          CROSS JOIN (${steps('j')}) AS columns_of_grid
        ) AS grid
      ) AS points
    ) AS pixels
  )`
}

/** Whole numbers from -8 to 8 as rows. */
function steps(word: string): string {
  const numbers = Array.from({ length: 17 }, (_, at) => `SELECT ${at - 8}e0 AS ${word}`)
  return numbers.join(' UNION ALL ')
}

/** The routines of a survey in a dialect, each after those that it uses. */
export function routinesOf(survey: Survey, dialect: Dialect): Routine[] {
  const { ra, dec, time } = columnsOf[survey]
  // BigQuery has MAX_BY too, as another name of this; GoogleSQL at large has this alone.
  const latest =
    dialect === 'duckdb' ? `MAX_BY(candid, ${time})` : `ANY_VALUE(candid HAVING MAX ${time})`
  const position = [
    { name: 'ra_deg', type: 'FLOAT64' },
    { name: 'dec_deg', type: 'FLOAT64' },
  ] as const
  return [
    {
      name: 'healpix',
      description: 'Nested HEALPix pixel of a position (degrees) at an order from 0 to 29',
      answers: 'INT64',
      parameters: [...position, { name: 'healpix_order', type: 'INT64' }],
      body: healpixBody,
    },
    {
      name: 'separation',
      description: 'Angle between two positions on the sky, all in degrees',
      answers: 'FLOAT64',
      parameters: ['ra1', 'dec1', 'ra2', 'dec2'].map((name) => ({ name, type: 'FLOAT64' })),
      body: separationBody,
    },
    {
      name: 'cone_search',
      description: 'Alerts within a radius of a position, all in degrees, and their separation',
      answers: 'TABLE',
      parameters: [...position, { name: 'radius_deg', type: 'FLOAT64' }],
      body: `
  SELECT alert.*, separation(ra_deg, dec_deg, alert.${ra}, alert.${dec}) AS separation_deg
  FROM alerts AS alert
  WHERE alert.healpix29 BETWEEN ${rangeOf('lowest')} AND ${rangeOf('highest')}
    AND separation(ra_deg, dec_deg, alert.${ra}, alert.${dec}) <= radius_deg`,
    },
    {
      name: 'latest_per_object',
      description: 'The latest alert of each object, with all its columns',
      answers: 'TABLE',
      parameters: [],
      // The ids first, the wide rows after: sorting whole rows would need their memory.
      body: `
  SELECT alert.* FROM alerts AS alert
  WHERE alert.candid IN (SELECT ${latest} FROM alerts GROUP BY objectId)`,
    },
    {
      name: 'light_curve',
      description:
        'Every epoch of an object from all of its packets and their histories, each once',
      answers: 'TABLE',
      parameters: [{ name: 'object_id', type: 'STRING' }],
      body: lightCurve(survey, dialect),
    },
  ]
}

type Typed = Readonly<Record<string, ColumnType>>

/** Where a survey's packets keep the epochs of an object, and what is told of each. */
const epochsOf: Readonly<
  Record<Survey, { now: string; history: string; epoch: Typed; rest: Typed }>
> = {
  ztf: {
    now: 'candidate',
    history: 'prv_candidates',
    epoch: { jd: 'FLOAT64', fid: 'INT64' },
    rest: {
      magpsf: 'FLOAT64',
      sigmapsf: 'FLOAT64',
      diffmaglim: 'FLOAT64',
      isdiffpos: 'STRING',
      candid: 'INT64',
    },
  },
  lsst: {
    now: 'diaSource',
    history: 'prvDiaSources',
    epoch: { midpointMjdTai: 'FLOAT64', band: 'STRING' },
    rest: { psfFlux: 'FLOAT64', psfFluxErr: 'FLOAT64', diaSourceId: 'INT64' },
  },
}

/**
 * The columns of the view `alerts` that the routines read. BigQuery checks a routine when it is made, so
 * the view stands with these before the first alert.
 */
export function columnsRead(survey: Survey): readonly Column[] {
  const { now, history, epoch, rest } = epochsOf[survey]
  const record = (name: string, mode: Column['mode'], fields: Typed): Column => ({
    ...{ name, type: 'RECORD', mode },
    fields: Object.entries(fields).map(([field, type]) => column(field, type)),
  })
  return [
    column('objectId', 'STRING'),
    column('candid', 'INT64'),
    column('healpix29', 'INT64'),
    record(now, 'NULLABLE', { ra: 'FLOAT64', dec: 'FLOAT64', ...epoch, ...rest }),
    record(history, 'REPEATED', { ...epoch, ...rest }),
  ]
}

const column = (name: string, type: ColumnType): Column => ({ name, type, mode: 'NULLABLE' })

function lightCurve(survey: Survey, dialect: Dialect): string {
  const { now, history, ...typed } = epochsOf[survey]
  const [epoch, rest] = [Object.keys(typed.epoch), Object.keys(typed.rest)]
  const each = dialect === 'duckdb' ? 'AS past(epoch)' : 'AS epoch'
  const columns = (of: string): string =>
    [...epoch, ...rest].map((one) => `${of}.${one}`).join(', ')
  return `
  SELECT ${epoch.join(', ')}, ${rest.map((one) => `MAX(${one}) AS ${one}`).join(', ')}
  FROM (
    SELECT ${columns(`alert.${now}`)} FROM alerts AS alert WHERE alert.objectId = object_id
    UNION ALL
    SELECT ${columns('epoch')}
    FROM alerts AS alert, UNNEST(alert.${history}) ${each} WHERE alert.objectId = object_id
  ) AS epochs
  GROUP BY ${epoch.join(', ')}`
}

/**
 * The statement that makes a routine, or makes it anew. `dataset` comes as the engine writes it:
 * `ztf_alerts`, or with its project `my-project.ztf_alerts`.
 */
export function routineStatement(routine: Routine, dialect: Dialect, dataset: string): string {
  const body = routineBody(routine, dialect, dataset)
  const { name, answers, parameters, description } = routine
  if (dialect === 'duckdb') {
    const names = parameters.map((parameter) => parameter.name).join(', ')
    const what = answers === 'TABLE' ? `TABLE ${body}` : body
    return `CREATE OR REPLACE MACRO "${dataset}".${name}(${names}) AS ${what}`
  }
  const typed = parameters.map((parameter) => `${parameter.name} ${parameter.type}`).join(', ')
  const options = `OPTIONS (description = ${JSON.stringify(description)})`
  return answers === 'TABLE'
    ? `CREATE OR REPLACE TABLE FUNCTION \`${dataset}\`.${name}(${typed})\n${options}\nAS (${body}\n)`
    : `CREATE OR REPLACE FUNCTION \`${dataset}\`.${name}(${typed}) RETURNS ${answers}\n` +
        `AS (${body}\n)\n${options}`
}

/** A routine's body with the data set before the names that are ours in it. */
export function routineBody({ body }: Routine, dialect: Dialect, dataset: string): string {
  const quote = dialect === 'duckdb' ? '"' : '`'
  return body
    .replaceAll(/\b(healpix|separation)\(/g, `${quote}${dataset}${quote}.$1(`)
    .replaceAll(/\bFROM alerts\b/g, `FROM ${quote}${dataset}${quote}.alerts`)
}
