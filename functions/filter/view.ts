/** An alert as filters see it: its main record, the record around that, and its history, told when asked. */
import type { AlertId } from '../../core/alert.ts'
import { historyOf, isPlainRecord, type Fields, type History } from './history.ts'

export interface AlertView {
  /** Who it is, wherever the packet says so. */
  identity: AlertId
  /** ZTF's candidate, LSST's diaSource; empty where the packet has none. */
  main: Fields
  /** The whole packet. */
  top: Fields
  /** What the alert's fit says, by name; empty where it is not judged with one. */
  fit: Fields
  /** Told once; see `historyIn`. */
  history: History | undefined
}

const nothing: Fields = Object.freeze({})

/** Look at a decoded packet. */
export function alertView(record: Fields, identity: AlertId, fit: Fields = nothing): AlertView {
  const main = record['candidate'] ?? record['diaSource']
  return {
    identity,
    main: isPlainRecord(main) ? main : nothing,
    top: record,
    fit,
    history: undefined,
  }
}

/** The history of an alert, counted the first time that any filter asks. */
export function historyIn(view: AlertView): History {
  return (view.history ??= historyOf(view.top))
}
