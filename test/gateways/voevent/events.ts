/** Events made by hand. */

export interface Made {
  ivorn?: string
  role?: string
  body?: string
  version?: string
}

/** A VOEvent, valid unless asked to be otherwise. */
export function made({
  ivorn = 'ivo://org.example/stream#ev1',
  role = 'observation',
  body = '',
  version = '2.0',
}: Made = {}): Buffer {
  return Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>
<voe:VOEvent xmlns:voe="http://www.ivoa.net/xml/VOEvent/v${version}" version="${version}" role="${role}" ivorn="${ivorn}">${body}</voe:VOEvent>
`,
  )
}
