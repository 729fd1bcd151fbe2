import { describe, expect, test } from 'vitest'
import { buildTestApp, listenTestApp, sendRaw } from '../support/app.ts'

const open = await buildTestApp()
const named = await buildTestApp({ env: { HOST: '127.0.0.7' } })
const everywhere = await buildTestApp({ env: { HOST: '0.0.0.0', AUTH_NONE_CONFIRM: 'yes' } })

async function status(app: typeof open, host: string, url = '/livez'): Promise<number> {
  return (await app.inject({ url, headers: { host } })).statusCode
}

describe('without authentication on a loopback address', () => {
  test.each([
    'localhost',
    'LocalHost:8003',
    'localhost.',
    'localhost.:1',
    'app.localhost:65535',
    '127.0.0.1',
    '127.0.0.1:8003',
    '127.8.9.10',
    '[::1]',
    '[::1]:8003',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]:80',
    'localhost:',
  ])('%s is answered', async (host) => {
    expect(await status(open, host)).toBe(200)
  })

  test.each([
    'rebound.example',
    'rebound.example:8003',
    'localhost.rebound.example',
    '127.0.0.1.rebound.example',
    'notlocalhost',
    '0.0.0.0:8003',
    '[::]',
    '[::2]:8003',
    '[::ffff:10.0.0.1]',
    '10.0.0.1',
    '2130706433',
  ])('%j is 421 on every path', async (host) => {
    for (const url of ['/livez', '/health', '/api/queues', '/docs', '/nothing']) {
      expect(await status(open, host, url)).toBe(421)
    }
    const answer = await open.inject({ url: '/livez', headers: { host } })
    expect(answer.json()).toMatchObject({ code: 'misdirected_request', status: 421 })
  })

  test('the configured HOST is one of the names', async () => {
    expect([await status(named, '127.0.0.7:1'), await status(named, 'rebound.example')]).toEqual([200, 421])
  })

  test('an empty host is none of the names', async () => {
    const text = 'GET /livez HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n'
    expect(await sendRaw(await listenTestApp(), text)).toMatch(/^HTTP\/1\.1 421 /)
  })

  test('a client of HTTP/1.0 may name no host, and one that names a strange one is refused', async () => {
    const url = await listenTestApp()
    expect(await sendRaw(url, 'GET /livez HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    expect(await sendRaw(url, 'GET /livez HTTP/1.0\r\nHost: rebound.example\r\n\r\n')).toMatch(/^HTTP\/1\.1 421 /)
  })
})

test('where everybody was let in on purpose every name is answered', async () => {
  expect(await status(everywhere, 'storage.example')).toBe(200)
})

describe('every answer', () => {
  test.each([
    '/livez',
    '/nothing',
    '/docs',
    '/docs/static/swagger-ui.css',
    '/docs/static/nothing',
    '/openapi.json',
    '/a/%zz',
  ])('of %s has a content security policy', async (url) => {
    const { headers } = await open.inject(url)
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['x-content-type-options']).toBe('nosniff')
  })

  test('has one, also to what is not HTTP', async () => {
    expect(await sendRaw(await listenTestApp(), 'nonsense\r\n\r\n')).toContain(
      "content-security-policy: default-src 'none'",
    )
  })
})
