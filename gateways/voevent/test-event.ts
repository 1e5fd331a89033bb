/** The event by which a broadcaster shows its subscribers that events would reach them. */
import { escapeXml } from './transport.ts'

/** A test event of an instant, valid by VOEvent 2.0. */
export function testEvent(localIvo: string, at: Date): Buffer {
  const time = at.toISOString().replace(/\.\d+Z$/, 'Z')
  const ivo = escapeXml(localIvo)
  return Buffer.from(
    `<?xml version='1.0' encoding='UTF-8'?>
<voe:VOEvent xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.ivoa.net/xml/VOEvent/v2.0 http://www.ivoa.net/xml/VOEvent/VOEvent-v2.0.xsd" version="2.0" role="test" ivorn="${ivo}#TestEvent-${time}">
  <Who>
    <AuthorIVORN>${ivo}</AuthorIVORN>
    <Date>${time}</Date>
  </Who>
  <What>
    <Description>Broker test event: nothing was seen, and what was to be sent arrives.</Description>
  </What>
</voe:VOEvent>
`,
  )
}
