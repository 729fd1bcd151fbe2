import { expect, test, vi } from 'vitest'
import { Database } from '../../../../app/store/database.ts'
import { silentObserver } from '../../../../app/store/observer.ts'
import { createTestDatabase } from '../../../support/database.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'
import { eventually } from '../../../support/eventually.ts'

const MINUTE_MS = 60_000
const PID = { text: 'SELECT pg_backend_pid() AS pid' }

const target = await createTestDatabase()
const database = new Database(
  { url: target.url, maxPoolSize: 1, acquireTimeoutMs: 5_000, statementTimeoutMs: 5_000 },
  silentObserver,
)
atEndOfFile(() => database.close())

const backend = async () => (await database.query<{ pid: number }>(PID)).rows[0]?.pid

test('a connection is used for 24 minutes at least and 36 at most, and then closed', async () => {
  const first = await backend()
  const openedAt = performance.now()
  const now = vi.spyOn(performance, 'now')
  atEndOfFile(() => now.mockRestore())

  now.mockReturnValue(openedAt + 23 * MINUTE_MS)
  expect(await backend()).toBe(first)
  now.mockReturnValue(openedAt + 37 * MINUTE_MS)
  expect(await backend()).not.toBe(first)
  now.mockRestore()
  await eventually(
    async () => (await target.query('SELECT FROM pg_stat_activity WHERE pid = $1', [first])).length === 0,
  )
})
