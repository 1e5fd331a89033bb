/** The topics of a home directory: its journal, segments and messages, opened and closed together. */
import type { Home } from './home.ts'
import { openJournal, type Journal } from './journal.ts'
import { openMessages, type Messages } from './messages.ts'
import { openSegments } from './segments.ts'

export interface Topics {
  journal: Journal
  messages: Messages
  close(): Promise<void>
}

/** Open the topics of a home. Several processes may do so at once. */
export async function openTopics(home: Home): Promise<Topics> {
  const journal = openJournal({ file: home.journal })
  const segments = await openSegments(home.segments)
  const messages = openMessages(journal, segments)
  return {
    journal,
    messages,
    async close() {
      messages.close()
      await journal.close()
      await segments.close()
    },
  }
}
