import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../app/config/config.ts'
import { explainDatabaseUrl } from '../../migrations/database/database-url.ts'
import { connect } from '../../migrations/database/session.ts'

/** A password as somebody copies it: with what means something in a URL, and words that are easy to find in a message. */
const passwords = fc
  .array(fc.constantFrom('@', '/', '?', '#', ':', '%', 'swordfish', '12', '=', '&', ' '), {
    minLength: 1,
    maxLength: 8,
  })
  .map((parts) => parts.join(''))

describe('the URL of a database', () => {
  test.each([
    'postgresql://role:word@db.example:5432/crawl?sslmode=require',
    'postgres://role:p%40s%2Fx@db/crawl',
    'postgres://role:p@s@db/crawl',
    'postgresql:///crawl?host=/run/postgresql',
    'postgresql://role@/crawl?host=/run/postgresql',
    'mysql://a@b/c@d',
  ])('%s is read as it is meant', (url) => expect(explainDatabaseUrl(url)).toBeUndefined())

  test('is either read with its own host and password, or refused in words that hold nothing of it', () => {
    fc.assert(
      fc.property(passwords, (password) => {
        const url = `postgresql://role:${password}@db.example/crawl`
        const problem = explainDatabaseUrl(url)
        if (problem === undefined) expect(new URL(url).host).toBe('db.example')
        else {
          expect(problem).toContain('must be percent-encoded')
          expect(problem).not.toMatch(/swordfish|role|example/)
        }
        const encoded = `postgresql://role:${encodeURIComponent(password)}@db.example/crawl`
        expect(explainDatabaseUrl(encoded)).toBeUndefined()
        expect(decodeURIComponent(new URL(encoded).password)).toBe(password)
      }),
      { numRuns: 1_000 },
    )
  })

  test.each(['p@swordfish/x', 'p@swordfish?x', 'p@swordfish#x', '12/swordfish', 'swordfish/x'])(
    'with the password %s is refused by the service and by migrations, which say what to do and show nothing of it',
    async (password) => {
      const url = `postgresql://role:${password}@db.example/crawl`
      const failures = [
        await connect(url).catch(String),
        ...['DATABASE_URL', 'DATABASE_DIRECT_URL'].map((name) => {
          try {
            return loadConfig({ AUTH: 'kubernetes', DATABASE_URL: 'postgres://db/crawl', [name]: url })
          } catch (error) {
            return String(error)
          }
        }),
      ]
      for (const failure of failures) {
        expect(failure).toContain('must be percent-encoded')
        expect(failure).not.toContain('swordfish')
      }
    },
  )
})
