/**
 * A night is named by the UTC date at its beginning, `YYYYMMDD`, as the survey names its Kafka topic.
 * Palomar's night begins near 02:00 UTC and ends near 13:00 UTC, Cerro Pachón's near 23:00 and 10:00.
 */
import { NightjarError } from './errors.ts'
import type { Survey } from './names.ts'

export type Night = string

/** Check a night as typed by a person: `20261121` or `2026-11-21`. */
export function parseNight(text: string): Night {
  const match = /^(\d{4})-?(\d{2})-?(\d{2})$/.exec(text)
  if (match) {
    const [, year, month, day] = match
    const iso = `${year}-${month}-${day}`
    const date = new Date(`${iso}T00:00:00Z`)
    if (!Number.isNaN(date.getTime()) && date.toISOString().startsWith(iso)) {
      return `${year}${month}${day}`
    }
  }
  throw new NightjarError(
    'config_invalid',
    `Cannot take night "${text}": it must be a UTC date such as 20261121`,
  )
}

/** The night in a Kafka topic's name, or undefined where the name has no date of eight digits. */
export function nightOfTopic(kafkaTopic: string): Night | undefined {
  return /(?:^|_)(20\d{6})(?:_|$)/.exec(kafkaTopic)?.[1]
}

/**
 * Hours by which a survey's night is shifted before its date is read, so that all of one night falls
 * on the UTC date of its beginning.
 */
const shiftHours: Record<Survey, number> = { ztf: 0, lsst: -12 }

/** The night in which a Julian date (days, UTC) lies. */
export function nightOfJd(jd: number, survey: Survey): Night {
  const ms = (jd - 2440587.5) * 86_400_000 + shiftHours[survey] * 3_600_000
  return nightOfDate(new Date(ms))
}

/** The night that an instant belongs to: the last one whose date has begun for its survey. */
export function nightAt(instant: Date, survey: Survey): Night {
  return nightOfDate(new Date(instant.getTime() + shiftHours[survey] * 3_600_000))
}

/** The instant at which a night's date begins for its survey: noon or earlier, before any dusk. */
export function nightBegin(night: Night, survey: Survey): Date {
  const date = `${night.slice(0, 4)}-${night.slice(4, 6)}-${night.slice(6, 8)}`
  return new Date(Date.parse(`${date}T00:00:00Z`) - shiftHours[survey] * 3_600_000)
}

/** The UTC date of an instant, as a night is written. */
export function nightOfDate(date: Date): Night {
  return date.toISOString().slice(0, 10).replaceAll('-', '')
}

const mostNights = 100

/** The nights from one to another, both included. Throws where that is none, or very many. */
export function nightsBetween(first: Night, last: Night): Night[] {
  const nights: Night[] = []
  const at = new Date(`${first.slice(0, 4)}-${first.slice(4, 6)}-${first.slice(6)}T00:00:00Z`)
  for (
    ;
    nightOfDate(at) <= last && nights.length <= mostNights;
    at.setUTCDate(at.getUTCDate() + 1)
  ) {
    nights.push(nightOfDate(at))
  }
  if (nights.length > 0 && nights.length <= mostNights) return nights
  throw new NightjarError(
    'config_invalid',
    `Cannot take nights ${first} to ${last}: they must ascend, and be ${mostNights} at most`,
  )
}
