import { describe, expect, inject, test } from 'vitest'
import { probe, runProbeTask } from '../../../operator/tasks/probe-task.ts'
import { createTaskLog } from '../../../operator/tasks/task-log.ts'
import { toLine } from '../../../operator/tasks/termination-message.ts'
import { administer, emptyDatabase, NEWEST, withClient } from '../../migrations/fixture.ts'
import { createTestDatabase } from '../../support/database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { PgBouncer } from '../../support/pgbouncer.ts'
import { temporaryFolder } from '../../support/temporary.ts'

const log = createTaskLog('probe', () => {})

describe('the probe', () => {
  test('tells what a database and its owner can do', async () => {
    const { exitCode, message } = await runProbeTask({ DATABASE_URL: await emptyDatabase('probe') }, log)
    expect(exitCode).toBe(0)
    expect(message).toMatchObject({
      code: 'ok',
      inRecovery: false,
      isSuperuser: true,
      mayCreateRoles: true,
      replication: 'allowed',
      maxConnections: 200,
      isPooled: false,
      owner: null,
      schemaVersion: null,
    })
    expect(message.versionNumber).toBeGreaterThan(150_000)
    expect(Buffer.byteLength(toLine(message))).toBeLessThan(3_500)
  })

  test('tells whom a database belongs to, and its schema', async () => {
    const database = await createTestDatabase()
    await database.query(`INSERT INTO storage.instance (namespace, name, uid) VALUES ('search', 'crawl', 'u')`)
    const owner = { namespace: 'search', name: 'crawl', uid: 'u' }
    expect(await probe(database.url)).toMatchObject({ owner, schemaVersion: NEWEST })
    await database.query(`UPDATE storage.instance SET uid = 'east/u'`)
    expect((await probe(database.url)).owner).toEqual({ ...owner, cluster: 'east' })
  })

  test('a plain role may neither make roles nor replicate', async () => {
    const url = await emptyDatabase('probe_plain')
    await administer(`CREATE ROLE probe_plain LOGIN PASSWORD 'plain'`)
    atEndOfFile(() => administer('DROP ROLE probe_plain'))
    const plain = Object.assign(new URL(url), { username: 'probe_plain', password: 'plain' }).href
    const refused = { mayCreateRoles: false, isSuperuser: false, replication: 'refused', mayCreateSchemas: false }
    expect(await probe(plain)).toMatchObject(refused)
    expect(await withClient(plain, async () => true)).toBe(true)
  })

  test.each(['DATABASE_URL', 'REPLICATION_URL'])(
    'a password in %s that cuts the address short is never shown',
    async (name) => {
      const env = {
        DATABASE_URL: await emptyDatabase(name.toLowerCase()),
        [name]: 'postgres://u:p@swordfish/x@127.0.0.1:1/d',
      }
      const { exitCode, message } = await runProbeTask(env, log)
      expect({ exitCode, code: message.code }).toEqual({ exitCode: 2, code: 'wrong_usage' })
      expect(message.error).toContain('percent-encoded')
      expect(JSON.stringify(message)).not.toContain('swordfish')
    },
  )

  test('looks at every address: through a transaction pooler no session is kept, and so no LISTEN', async () => {
    const direct = await emptyDatabase('probe_pooled')
    const options = { version: '1.24.1', target: inject('postgresUrl'), folder: await temporaryFolder() } as const
    const bouncer = await PgBouncer.start(options)
    atEndOfFile(() => bouncer.stop())
    const pooled = bouncer.url(direct)
    const { message } = await runProbeTask({ DATABASE_URL: direct, SERVICE_URL: pooled, DIRECT_URL: direct }, log)
    expect(message).toMatchObject({ code: 'ok', service: { isPooled: true }, direct: { isPooled: false } })
    expect(message.service?.database).toBe(message.direct?.database)
    const other = await runProbeTask({ DATABASE_URL: direct, DIRECT_URL: await emptyDatabase('probe_other') }, log)
    expect(other.message.direct?.database).not.toBe(other.message.database)
  })

  test('says of which address it speaks', async () => {
    const env = { DATABASE_URL: await emptyDatabase('probe_away'), DIRECT_URL: 'postgres://u:secret@127.0.0.1:1/d' }
    const { message } = await runProbeTask(env, log)
    expect(message).toMatchObject({ code: 'unreachable', error: expect.stringContaining('external.directSecretRef: ') })
    expect(JSON.stringify(message)).not.toContain('secret@')
  })

  test('tells rejected credentials by their SQLSTATE, not by words', async () => {
    const url = await emptyDatabase('probe_rejected')
    const nobody = Object.assign(new URL(url), { username: 'nobody_at_all', password: 'x' }).href
    for (const env of [{ DATABASE_URL: nobody }, { DATABASE_URL: url, SERVICE_URL: nobody }]) {
      expect((await runProbeTask(env, log)).message).toMatchObject({ code: 'credentials_rejected' })
    }
    const named = Object.assign(new URL(url), { pathname: '/password authentication failed' }).href
    expect((await runProbeTask({ DATABASE_URL: named }, log)).message).toMatchObject({ code: 'failed' })
  })

  test('a database that is away is one sentence', async () => {
    const { exitCode, message } = await runProbeTask({ DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/d' }, log)
    expect({ exitCode, code: message.code }).toEqual({ exitCode: 1, code: 'unreachable' })
    expect(JSON.stringify(message)).not.toContain('secret')
  })
})
