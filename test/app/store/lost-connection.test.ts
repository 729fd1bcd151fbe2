import { describe, expect, test } from 'vitest'
import { Database } from '../../../app/store/database.ts'
import { silentObserver } from '../../../app/store/observer.ts'
import { createTestDatabase } from '../../support/database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'

const PID = { text: 'SELECT pg_backend_pid() AS pid' }

describe('a connection that breaks', async () => {
  const { url, query } = await createTestDatabase()
  const options = { url, maxPoolSize: 2, acquireTimeoutMs: 5_000, statementTimeoutMs: 30_000 }
  const database = new Database(options, silentObserver)
  atEndOfFile(() => database.close())

  const kill = (pid: unknown) => query('SELECT pg_terminate_backend($1, 5000)', [pid])

  test('between two statements of a transaction fails that transaction, and nothing else', async () => {
    const broken = database.transaction(async (session) => {
      const { rows } = await session.query<{ pid: number }>(PID)
      await kill(rows[0]?.pid)
      await session.query(PID)
    })
    await expect(broken).rejects.toMatchObject({ code: 'database_unavailable' })
    expect((await database.query(PID)).rows).toHaveLength(1)
  })

  test('during a statement, or while it is lent out idle, does so too', async () => {
    const sleeping = database.query({ text: 'SELECT pg_sleep(20) /* to be killed */' })
    const failure = expect(sleeping).rejects.toMatchObject({ code: 'database_unavailable' })
    const find = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%be killed */'"
    await expect.poll(async () => (await query(find)).length).toBe(1)
    await kill((await query(find))[0]?.pid)
    await failure
    const lent = database.transaction(async (session) => {
      const { rows } = await session.query<{ pid: number }>(PID)
      await kill(rows[0]?.pid)
      await expect.poll(async () => query('SELECT FROM pg_stat_activity WHERE pid = $1', [rows[0]?.pid])).toEqual([])
      await session.query(PID)
    })
    await expect(lent).rejects.toMatchObject({ code: 'database_unavailable' })
    expect((await database.query(PID)).rows).toHaveLength(1)
  })
})
