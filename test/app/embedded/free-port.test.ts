import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { findFreePort, isFree } from '../../../app/embedded/free-port.ts'

const RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range'

test('a free port is none that Linux gives to connections', async () => {
  const [first = 0, last = 0] = readFileSync(RANGE_FILE, 'utf8').trim().split(/\s+/).map(Number)
  const ports = await Promise.all(Array.from({ length: 200 }, findFreePort))
  expect(last).toBeGreaterThan(first)
  expect(ports.filter((port) => port >= first && port <= last)).toEqual([])
})

test('a port is free until somebody listens on it', async () => {
  const port = await findFreePort()
  expect(await isFree(port)).toBe(true)
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  expect(await isFree(port)).toBe(false)
  server.close()
  await once(server, 'close')
  expect(await isFree(port)).toBe(true)
})
