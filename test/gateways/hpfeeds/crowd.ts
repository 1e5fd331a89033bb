/** So many connections that say nothing, in a process of their own: crowd.ts PORT COUNT. */
import { connect } from 'node:net'

const [port, count] = process.argv.slice(2).map(Number)
let greeted = 0
let next = 0

function connectOne(): void {
  if (next === count) return
  next++
  const socket = connect({ host: '127.0.0.1', port: port ?? 0 })
  socket.on('error', () => {})
  socket.once('data', () => {
    greeted++
    if (greeted === count) process.send?.(greeted)
    connectOne()
  })
}
for (let i = 0; i < 200; i++) connectOne()
