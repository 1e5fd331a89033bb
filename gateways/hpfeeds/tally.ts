/**
 * What the broker counts, by ident, to be read whenever somebody asks. Only idents that have proved
 * themselves have entries of their own, so a stranger cannot make the counts grow; the others share "".
 */

/** Why a connection was refused or ended by the broker; the names are hpfeeds' own, but the last three. */
export type Fault =
  | 'invalid-first-message'
  | 'error-checking-ident'
  | 'invalid-ident'
  | 'invalid-secret'
  | 'ident-mismatch-pub'
  | 'no-pub-permission'
  | 'no-sub-permission'
  | 'deadline-timer-expired'
  | 'auth-timer-expired'
  | 'invalid-message'
  | 'publish-failed'

/** What is under way on one connection. */
export interface Buffered {
  /** Bytes that wait to be written. */
  sendBuffer(): number
  /** Bytes that wait to be a whole message. */
  receiveBuffer(): number
}

export interface IdentTally {
  ident: string
  owner: string
  connections: Set<Buffered>
  ready: number
  lost: number
  faults: Map<Fault, number>
  /** Bytes received after the authentication. */
  received: number
  /** Bytes of payload that were to be sent. */
  queued: number
  /** Bytes that were sent, frames and all. */
  sent: number
  deadlinesStarted: number
  deadlinesRecovered: number
  /** Messages published, by channel. */
  published: Map<string, number>
  /** Connections that are subscribed, by channel. */
  subscriptions: Map<string, number>
}

export interface Tally {
  made: number
  connections: number
  of(ident: string, owner?: string): IdentTally
  idents(): Iterable<IdentTally>
}

/** Add to a count by name. */
export function add<Key>(counts: Map<Key, number>, key: Key, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}

/** Begin at nothing. */
export function createTally(): Tally {
  const idents = new Map<string, IdentTally>()
  return {
    made: 0,
    connections: 0,
    idents: () => idents.values(),
    of(ident, owner = '') {
      let found = idents.get(ident)
      if (found === undefined) {
        found = {
          ident,
          owner,
          connections: new Set(),
          ready: 0,
          lost: 0,
          faults: new Map(),
          received: 0,
          queued: 0,
          sent: 0,
          deadlinesStarted: 0,
          deadlinesRecovered: 0,
          published: new Map(),
          subscriptions: new Map(),
        }
        idents.set(ident, found)
      }
      return found
    },
  }
}
