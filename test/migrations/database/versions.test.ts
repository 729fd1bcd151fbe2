import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EmbeddedPostgres } from '../../../app/embedded/embedded-postgres.ts'
import { SCHEMA_LOCK } from '../../../migrations/schema/fingerprint.ts'
import { makeSchemaLock } from '../../../migrations/schema/write-schema-lock.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { postgresPrograms } from '../../support/postgres-programs.ts'
import { temporaryFolder } from '../../support/temporary.ts'

async function startServer(major: 15 | 18): Promise<EmbeddedPostgres> {
  const server = new EmbeddedPostgres({
    folder: join(await temporaryFolder(), 'postgres'),
    programs: { folder: await postgresPrograms(major), locale: ['--locale=C'] },
    settings: { fsync: 'off', shared_buffers: '64MB' },
  })
  atEndOfFile(() => server.destroy())
  await server.start()
  await server.createDatabase('lock')
  return server
}

describe('the fingerprint', () => {
  test.each([15, 18] as const)(
    'is the same on PostgreSQL %i as in the committed schema',
    async (major) => {
      const server = await startServer(major)
      expect(await makeSchemaLock(server.url('lock'))).toEqual(SCHEMA_LOCK)
    },
    180_000,
  )
})
