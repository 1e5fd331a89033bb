import { extract } from 'tar-stream'

export interface Member {
  name: string
  mtime: string | undefined
  data: Buffer
}

/** The members of an archive, by a reader that we did not write. */
export async function untar(archive: Uint8Array): Promise<Member[]> {
  const reader = extract()
  reader.end(archive)
  const members: Member[] = []
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    const pax = entry.header.pax as Readonly<Record<string, string>> | null | undefined
    members.push({ name: entry.header.name, mtime: pax?.['mtime'], data: Buffer.concat(chunks) })
  }
  return members
}
