import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../support/database.ts'
import { eventually } from '../support/eventually.ts'
import { BASE, BUILD_BASE, ensureBaseImages } from './base-images.ts'
import { run } from './command.ts'
import { Container } from './container.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const IMAGE = 'localhost/sonoma-storage:test'
const PORT = '18003'
const METRICS_PORT = '19095'
const URL = `http://127.0.0.1:${PORT}`

let database: TestDatabase
let container: Container | undefined

beforeAll(async () => {
  await ensureBaseImages()
  const bases = ['--build-arg', `BASE=${BASE}`, '--build-arg', `BUILD_BASE=${BUILD_BASE}`]
  const how = ['--isolation', 'chroot', '--network', 'host', '--pull-never', '--layers']
  await run('buildah', ['bud', ...how, ...bases, '-t', IMAGE, ROOT])
  database = await createTestDatabase()
})

afterAll(async () => {
  await container?.remove()
})

function environment(): Record<string, string> {
  return {
    DATABASE_URL: database.url,
    HOST: '127.0.0.1',
    PORT,
    METRICS_PORT,
    AUTH: 'none',
  }
}

describe('the image', () => {
  test('runs as a user that is not root, and says the ports', async () => {
    const format = '{{.OCIv1.Config.User}} {{.OCIv1.Config.ExposedPorts}} {{.OCIv1.Config.StopSignal}}'
    const said = await run('buildah', ['inspect', '--type', 'image', '--format', format, IMAGE])
    expect(said).toMatch(/^65532:65532 .*8003.*9095.* SIGTERM$/)
  })

  test('answers --help', async () => {
    const help = await Container.start(IMAGE, {}, ['/srv/app/main.js', '--help'])
    expect(await help.exited()).toBe(0)
    expect(help.log).toContain('DATABASE_URL')
    await help.remove()
  })

  test('brings the migrations with it', async () => {
    const status = await Container.start(IMAGE, environment(), ['/srv/migrations/main.js', 'status'])
    expect(await status.exited()).toBe(0)
    expect(status.log).toContain('0001  applied')
    await status.remove()
  })

  test('serves on a read-only root file system, and ends cleanly as PID 1 on SIGTERM', async () => {
    container = await Container.start(IMAGE, environment())
    await eventually(async () => (await fetch(`${URL}/readyz`)).ok, { timeoutMs: 20_000 })
    const push = { operation: 'push', queue: 'image', items: [{ id: 'a', payload: { n: 1 } }] }
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${URL}/api/queue`, { method: 'POST', headers, body: JSON.stringify(push) })
    expect(await answer.json()).toMatchObject({ success: true, items: [{ id: 'a', result: 'created' }] })
    expect(await (await fetch(`http://127.0.0.1:${METRICS_PORT}/metrics`)).text()).toContain('queue_operations_total')
    expect((await fetch(`${URL}/docs`)).status).toBe(200)
    await container.signal('TERM')
    expect(await container.exited()).toBe(0)
  })
})
