/**
 * Runs in a client's pod. Arguments: an address. Asks a PostgreSQL server whether it speaks TLS, which every one answers with
 * one byte to anybody, and prints what became of it.
 */
import { connect } from 'node:net'

const [address = ''] = process.argv.slice(2)
const PORT = 5432
const PATIENCE_MS = 2_000
/** SSLRequest of PostgreSQL's protocol: its length and its number. */
const QUESTION = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47])

let isConnected = false
const socket = connect(PORT, address, () => {
  isConnected = true
  socket.write(QUESTION)
})
const tell = (outcome: string) => {
  console.log(outcome)
  process.exit(0)
}
socket.once('data', () => tell('answered'))
socket.once('error', ({ message }) => tell(message))
socket.once('close', () => tell('closed'))
setTimeout(() => tell(isConnected ? 'silent' : 'unreachable'), PATIENCE_MS)
