/**
 * The clients of the VOEvent benchmark, in a process of their own: subscribers that acknowledge and
 * count, and authors. Told by messages what to do; answers with figures.
 */
import { connect, type Socket } from 'node:net'

import { createFrameReader } from '../gateways/frames.ts'
import { formatFrame, vtpFrames } from '../gateways/voevent/frame.ts'
import { formatTransport } from '../gateways/voevent/transport.ts'
import { answerTasks, figuresOf, type Figures } from './gateway.ts'

export interface Task {
  what: 'throughput' | 'latency' | 'idle'
  receive: number
  broadcast: number
  subscribers: number
  /** Events to send; connections to make, for `idle`. */
  count: number
  /** For `throughput`: authors at a time. For `latency`: events a second. */
  rate: number
  /** Makes IVORNs of one task other than those of the next. */
  run: string
}

const host = '127.0.0.1'
const origin = 'ivo://org.example/bench'
const ack = formatFrame(formatTransport({ role: 'ack', origin, at: new Date() }))
const alive = formatFrame(formatTransport({ role: 'iamalive', origin, at: new Date() }))

const eventOf = (id: string): Buffer =>
  Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>
<voe:VOEvent xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0" version="2.0" role="observation" ivorn="${origin}#${id}">
<Who><AuthorIVORN>${origin}</AuthorIVORN><Date>2026-11-21T04:05:06</Date></Who>
<What><Param name="mag" ucd="phot.mag" value="18.25" unit="mag" dataType="float"/></What>
<WhereWhen><ObsDataLocation><ObservatoryLocation id="Palomar"/><ObservationLocation><AstroCoordSystem id="UTC-ICRS-TOPO"/><AstroCoords coord_system_id="UTC-ICRS-TOPO"><Time unit="s"><TimeInstant><ISOTime>2026-11-21T04:00:00</ISOTime></TimeInstant></Time><Position2D unit="deg"><Name1>RA</Name1><Name2>Dec</Name2><Value2><C1>148.9</C1><C2>69.1</C2></Value2><Error2Radius>0.01</Error2Radius></Position2D></AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>
</voe:VOEvent>
`,
  )

/** A subscriber, when it is greeted. */
function subscribe(port: number, heard: (event: Buffer) => void): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    const frames = createFrameReader(vtpFrames)
    socket.once('error', reject)
    socket.on('data', (chunk: Buffer) => {
      frames.feed(chunk)
      for (let frame = frames.next(); frame; frame = frames.next()) {
        if (frame.body.includes('VOEvent')) {
          socket.write(ack)
          heard(frame.body)
        } else if (frame.body.includes('iamalive')) socket.write(alive)
        else resolve(socket)
      }
    })
  })
}

/** Send one event; resolves with the end of the connection, true if it was acked. */
function send(port: number, event: Buffer): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    let acked = false
    socket.once('error', reject)
    socket.on('data', (chunk: Buffer) => (acked ||= chunk.includes('"ack"')))
    socket.once('close', () => resolve(acked))
    socket.write(formatFrame(event))
  })
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function run(task: Task): Promise<Figures> {
  const { what, receive, broadcast, subscribers, count, rate, run: name } = task
  if (what === 'idle') {
    for (let i = 0; i < count; i += 50) {
      const some = Math.min(50, count - i)
      await Promise.all(Array.from({ length: some }, () => subscribe(broadcast, () => {})))
    }
    return { eventsPerSecond: 0, p50Ms: 0, p99Ms: 0 }
  }
  const sentAt = new Map<string, number>()
  const latencies: number[] = []
  let left = subscribers * count
  let allThere = (): void => {}
  const all = new Promise<void>((resolve) => (allThere = resolve))
  const sockets = await Promise.all(
    Array.from({ length: subscribers }, (_, i) =>
      subscribe(broadcast, (event) => {
        if (!event.includes(`#${name}-`)) return
        if (i === subscribers - 1) {
          const [, id = ''] = /ivorn="[^"#]*#([^"]*)"/.exec(event.toString('latin1')) ?? []
          latencies.push(performance.now() - (sentAt.get(id) ?? NaN))
        }
        if (--left === 0) allThere()
      }),
    ),
  )
  const began = performance.now()
  let next = 0
  const author = async (): Promise<void> => {
    while (next < count) {
      const id = `${name}-${next++}`
      sentAt.set(id, performance.now())
      if (!(await send(receive, eventOf(id)))) throw new Error(`No ack for ${id}`)
    }
  }
  if (what === 'throughput') await Promise.all(Array.from({ length: rate }, author))
  else {
    const sent: Promise<boolean>[] = []
    for (let i = 0; i < count; i++) {
      sentAt.set(`${name}-${i}`, performance.now())
      sent.push(send(receive, eventOf(`${name}-${i}`)))
      await pause(Math.max(0, began + ((i + 1) * 1000) / rate - performance.now()))
    }
    await Promise.all(sent)
  }
  await all
  const figures = figuresOf(count, began, latencies)
  for (const socket of sockets) socket.destroy()
  return figures
}

answerTasks(run)
