/** The two streams: a file of NDJSON into the service, and all of its documents out again. */
import { createReadStream } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { LoadResult } from './spec.ts'

const NEW_LINE = 0x0a
const READ_BYTES = 1 << 18

/** Sends the file and reads the answer; it must say that every line was stored. */
export async function importRun(port: number, file: string): Promise<() => Promise<LoadResult>> {
  return async () => {
    const started = performance.now()
    const call = request({
      port,
      host: '127.0.0.1',
      method: 'POST',
      path: '/api/documents/import',
      headers: { 'content-type': 'application/x-ndjson' },
    })
    // The answer begins before the file is through, so both run at the same time.
    const [, text] = await Promise.all([
      pipeline(createReadStream(file, { highWaterMark: READ_BYTES }), call),
      answerOf(call).then(readText),
    ])
    const outcome = JSON.parse(text.trim().split('\n').at(-1) ?? '{}') as { stored?: number; failed?: number }
    if (!outcome.stored || outcome.failed !== 0) throw new Error(`The import did not store all: ${text.slice(0, 500)}`)
    return { rows: outcome.stored, seconds: (performance.now() - started) / 1_000, requests: 1 }
  }
}

/** Reads the whole export and counts its lines. */
export async function exportRun(port: number): Promise<() => Promise<LoadResult>> {
  return async () => {
    const started = performance.now()
    const call = request({ port, host: '127.0.0.1', path: '/api/documents/export' })
    call.end()
    const answer = await answerOf(call)
    let rows = 0
    for await (const chunk of answer as AsyncIterable<Buffer>) rows += countLines(chunk)
    return { rows, seconds: (performance.now() - started) / 1_000, requests: 1 }
  }
}

function answerOf(call: ReturnType<typeof request>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    call.once('error', reject)
    call.once('response', (answer) => {
      if (answer.statusCode === 200) return resolve(answer)
      reject(new Error(`HTTP ${answer.statusCode} for ${call.path}`))
    })
  })
}

async function readText(answer: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of answer.setEncoding('utf8')) text += chunk
  return text
}

function countLines(chunk: Buffer): number {
  let lines = 0
  for (let at = chunk.indexOf(NEW_LINE); at >= 0; at = chunk.indexOf(NEW_LINE, at + 1)) lines += 1
  return lines
}
