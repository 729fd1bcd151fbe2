import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Shot } from './attack.ts'

/** What became of a shot: undefined where all is well. */
export type Complaint = string | undefined

const ANSWER_TIMEOUT_MS = 60_000
const SHOWN_LENGTH = 300
/** How long those who hang or starve are watched. */
const HOLD_MS = 3_000
const TRICKLE_MS = 50
const HELD: ReadonlySet<string> = new Set(['hang', 'starve', 'trickle'])

/** Fires a shot. What hangs or starves stays open until `over`; everything else ends by itself. */
export async function fire(port: number, shot: Shot, over: AbortSignal): Promise<Complaint> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  const { kind } = shot.manner
  if (kind === 'halfClose') return halfClose(socket, shot)
  if (kind !== 'read') {
    keepOpen(socket, shot, over)
    if (kind === 'leave') await once(socket, 'close')
    return undefined
  }
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.write(shot.bytes)
  const ended = await answered(socket, chunks)
  socket.destroy()
  const text = Buffer.concat(chunks).toString('latin1')
  // An interim answer (100) is not the answer.
  const status = /^HTTP\/1\.1 ([2-5]\d\d)/m.exec(text)?.[1]
  if (shot.mayAnswer(status === undefined ? undefined : Number(status), text)) return undefined
  const said = status === undefined ? `no answer (${ended})` : text.slice(0, SHOWN_LENGTH)
  return `${shot.name}: ${said}`
}

async function halfClose(socket: Socket, { name, bytes }: Shot): Promise<Complaint> {
  const timer = setTimeout(() => socket.destroy(new Error('late')), ANSWER_TIMEOUT_MS)
  const isLate = new Promise<boolean>((resolve) => {
    socket.on('error', (error) => resolve(error.message === 'late'))
    socket.on('close', () => resolve(false))
  })
  socket.resume().end(bytes)
  const complaint = (await isLate) ? `${name}: the connection stays open` : undefined
  clearTimeout(timer)
  return complaint
}

function keepOpen(socket: Socket, { manner, bytes }: Shot, over: AbortSignal): void {
  if (manner.kind === 'starve' || manner.kind === 'trickle') socket.pause()
  else socket.resume()
  const trickle = manner.kind === 'trickle' ? setInterval(() => socket.read(1), TRICKLE_MS) : undefined
  socket.write(bytes)
  const end = () => socket.destroy()
  const timer = manner.kind === 'leave' ? setTimeout(end, manner.afterMs) : undefined
  over.addEventListener('abort', end)
  socket.once('close', () => {
    clearTimeout(timer)
    clearInterval(trickle)
    over.removeEventListener('abort', end)
  })
}

/** Waits until an answer has come whole, as far as its head tells, or the connection has ended. */
async function answered(socket: Socket, chunks: Buffer[]): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const timer = setTimeout(() => resolve('nothing came'), ANSWER_TIMEOUT_MS)
  socket.on('data', () => {
    if (isWhole(chunks)) resolve('whole')
  })
  socket.on('close', () => resolve('closed'))
  socket.on('end', () => resolve('ended'))
  const how = await promise
  clearTimeout(timer)
  return how
}

function isWhole(chunks: Buffer[]): boolean {
  const text = Buffer.concat(chunks.slice(0, 4)).toString('latin1')
  const [interim = ''] = /^(HTTP\/1\.1 1\d\d[\s\S]*?\r\n\r\n)*/.exec(text) ?? []
  const end = text.indexOf('\r\n\r\n', interim.length)
  if (end < 0) return false
  const head = text.slice(interim.length, end).toLowerCase()
  const length = /\r\ncontent-length: (\d+)/.exec(head)?.[1]
  const received = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  if (length !== undefined) return received >= end + 4 + Number(length)
  if (head.includes('transfer-encoding: chunked')) return chunks.at(-1)?.subarray(-5).toString('latin1') === '0\r\n\r\n'
  return /^http\/1\.1 (204|304)/.test(head)
}

/** Fires all shots, so many at a time, and answers what was wrong. What hangs hangs until the last shot is done. */
export async function fireAll(port: number, shots: readonly Shot[], atOnce: number): Promise<string[]> {
  const over = new AbortController()
  const queue = shots.values()
  const complaints: string[] = []
  const work = async () => {
    for (const shot of queue) {
      const complaint = await fire(port, shot, over.signal)
      if (complaint !== undefined) complaints.push(complaint)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  if (shots.some(({ manner }) => HELD.has(manner.kind))) await delay(HOLD_MS)
  over.abort()
  return complaints
}
