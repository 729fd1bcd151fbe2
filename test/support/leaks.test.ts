import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { atEndOfFile, endFile } from './end-of-file.ts'
import { eventually } from './eventually.ts'
import { expectNoLeaks, openResources } from './leaks.ts'

test('a server and timers that stay are named', { timeout: 20_000 }, async () => {
  const before = openResources()
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  // More than one: the runner's own timers are among those of `before`.
  const timers = Array.from({ length: 10 }, () => setInterval(() => undefined, 1_000))
  await expect(expectNoLeaks(before)).rejects.toThrow(/leaves open: (?=.*1 TCPServerWrap)(?=.*\d Timeout)/)
  for (const timer of timers) clearInterval(timer)
  server.close()
  await expectNoLeaks(before)
})

test('all that a file made is taken down, the last first, even where some of it fails', async () => {
  const order: number[] = []
  atEndOfFile(() => order.push(1))
  atEndOfFile(() => Promise.reject(new Error('cannot')))
  atEndOfFile(() => order.push(3))
  await expect(endFile()).rejects.toThrow('cannot')
  expect(order).toEqual([3, 1])
})

test('eventually gives the first answer that is not false, or fails with the last error', async () => {
  let calls = 0
  expect(await eventually(() => ++calls > 2 && calls)).toBe(3)
  const failing = eventually(() => Promise.reject(new Error('still wrong')), { timeoutMs: 50 })
  await expect(failing).rejects.toThrow('still wrong')
})
