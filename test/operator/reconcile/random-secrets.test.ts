import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { BACKUP_ROLE } from '../../../operator/api/provisions.ts'
import { CHILD_ANNOTATIONS } from '../../../operator/desired/annotations.ts'
import { issue, reissue } from '../../../operator/reconcile/random-secrets.ts'

const NOW = new Date()
const HOST = 'crawl-db.search.svc'

function shell(expires: string) {
  const metadata = { name: 'crawl-db-tls', namespace: 'search', annotations: { [CHILD_ANNOTATIONS.expires]: expires } }
  return { apiVersion: 'v1', kind: 'Secret', metadata }
}

type Content = Record<string, string>

async function made(expires = '2036-11-20T02:15:00Z'): Promise<Content> {
  const secret = await issue('certificate', shell(expires), NOW)
  return secret.stringData as Content
}

/** As the API server gives it back. */
function stored(content: Content) {
  const entries = Object.entries(content).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
  return { ...shell('2036-11-20T02:15:00Z'), data: Object.fromEntries(entries) as Content }
}

/** Whether a client that trusts `ca` accepts a server with this certificate: `ok`, or OpenSSL's code. */
async function handshake(server: Content, ca: string | undefined): Promise<string> {
  const listener = createServer({ cert: server['tls.crt'], key: server['tls.key'] }, (socket) => socket.end())
  listener.on('tlsClientError', () => {})
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const socket = connect({ port, host: '127.0.0.1', servername: HOST, ca })
  try {
    await once(socket, 'secureConnect')
    return 'ok'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'failed'
  } finally {
    socket.destroy()
    listener.close()
  }
}

describe('a certificate', () => {
  test('is valid for as long as its Secret says', async () => {
    const content = await made('2030-01-02T03:04:05Z')
    for (const file of ['tls.crt', 'ca.crt']) {
      const { validTo } = new X509Certificate(content[file] ?? '')
      expect(new Date(validTo).toISOString()).toBe('2030-01-02T03:04:05.000Z')
    }
  })

  test('that was renewed is trusted beside the one before it, by those who know both', async () => {
    const before = await made()
    const after = await reissue(stored(before), shell('2046-11-18T02:15:00Z'), NOW)
    expect(await handshake(before, before['ca.crt'])).toBe('ok')
    expect(await handshake(before, after['ca.crt'])).toBe('ok')
    expect(await handshake(after, after['ca.crt'])).toBe('ok')
    expect(await handshake(after, before['ca.crt'])).not.toBe('ok')
  })

  test('that was renewed twice keeps only the one before it', async () => {
    const first = await made()
    const second = await reissue(stored(first), shell('2046-11-18T02:15:00Z'), NOW)
    const third = await reissue(stored(second), shell('2056-11-15T02:15:00Z'), NOW)
    expect(third['ca.crt']?.match(/BEGIN CERTIFICATE/g)).toHaveLength(2)
    expect(await handshake(second, third['ca.crt'])).toBe('ok')
    expect(await handshake(first, third['ca.crt'])).not.toBe('ok')
  })
})

describe('the Secret of the backup role', () => {
  const backup = { ...shell(''), metadata: { name: 'crawl-db-backup', namespace: 'search' } }

  test('leads to the database with a password of its own, and cannot be changed', async () => {
    const [one, other] = [await issue('backupCredentials', backup, NOW), await issue('backupCredentials', backup, NOW)]
    const { username, password, host, uri } = one.stringData as Content
    expect({ immutable: one.immutable, username, host }).toEqual({ immutable: true, username: BACKUP_ROLE, host: HOST })
    expect(new URL(uri ?? '')).toMatchObject({ username, password, hostname: HOST, pathname: '/storage' })
    expect(password).not.toBe((other.stringData as Content).password)
  })
})
