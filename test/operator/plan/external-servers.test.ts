import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { EmbeddedPostgres } from '../../../app/embedded/embedded-postgres.ts'
import { withClient } from '../../migrations/fixture.ts'
import { startOwnServer } from '../../support/database.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { eventually } from '../../support/eventually.ts'
import { postgresPrograms } from '../../support/postgres-programs.ts'
import { failOver, followed, startStandby } from '../../support/standby.ts'
import { temporaryFolder } from '../../support/temporary.ts'
import { type Addresses, ProbedWorld } from './probed-world.ts'

const unsuitable = (message: RegExp) => ({
  status: 'False',
  reason: 'DatabaseUnsuitable',
  message: expect.stringMatching(message),
})

describe('a standby that streams from its primary', async () => {
  const primary = await startOwnServer()
  const standby = await startStandby(primary)
  await followed(primary, standby)

  test.each<[string, Addresses]>([
    ['secretRef', { secretRef: standby.url }],
    ['ownerSecretRef', { secretRef: primary.url, ownerSecretRef: standby.url }],
    ['secretRef', { secretRef: standby.url, ownerSecretRef: primary.url }],
    ['directSecretRef', { secretRef: primary.url, directSecretRef: standby.url }],
    ['directSecretRef', { secretRef: primary.url, ownerSecretRef: primary.url, directSecretRef: standby.url }],
  ])('is refused in %s, of %o', async (field, addresses) => {
    const probed = new ProbedWorld(addresses)
    expect(await probed.look()).toMatchObject(unsuitable(new RegExp(`^${field} leads to a standby: use .* primary`)))
    expect(probed.world.condition('Stalled')).toMatchObject({ status: 'True', reason: 'DatabaseUnsuitable' })
    expect(probed.made).toEqual([])
  })

  test('is used once it has been promoted', async () => {
    const probed = new ProbedWorld({ secretRef: standby.url })
    expect(await probed.look()).toMatchObject({ status: 'False' })
    await failOver(primary, standby)
    expect(await probed.look()).toMatchObject({ status: 'True', reason: 'DatabaseReachable' })
    expect(probed.made).toEqual([expect.stringContaining('-migrate-')])
  })
})

describe('a database that is read-only', async () => {
  const { url } = await startOwnServer()
  await withClient(url, (client) => client.query(`CREATE ROLE reader LOGIN PASSWORD 'reader'`))
  const readerUrl = Object.assign(new URL(url), { username: 'reader', password: 'reader' }).href

  /** Answers when new sessions have the setting: the server reloads a moment later. */
  async function alter(target: string, change: string, value: 'on' | 'off'): Promise<void> {
    await withClient(url, async (client) => {
      await client.query('SET default_transaction_read_only = off')
      await client.query(`ALTER ${target} ${change}`)
      await client.query('SELECT pg_reload_conf()')
    })
    const affected = target.includes('reader') ? readerUrl : url
    await eventually(async () => {
      const { rows } = await withClient(affected, (client) => client.query('SHOW default_transaction_read_only'))
      expect(rows).toEqual([{ default_transaction_read_only: value }])
    })
  }

  test.each<[string, string, Addresses]>([
    ['secretRef', 'SYSTEM', { secretRef: url }],
    ['secretRef', 'DATABASE sonoma', { secretRef: url }],
    ['secretRef', 'ROLE reader', { secretRef: readerUrl, ownerSecretRef: url }],
    ['ownerSecretRef', 'ROLE postgres', { secretRef: readerUrl, ownerSecretRef: url }],
    ['directSecretRef', 'ROLE reader', { secretRef: url, ownerSecretRef: url, directSecretRef: readerUrl }],
  ])('is refused in %s where it is so by ALTER %s, until that is taken back', async (field, target, addresses) => {
    const probed = new ProbedWorld(addresses)
    await alter(target, 'SET default_transaction_read_only = on', 'on')
    const message = new RegExp(
      `^${field} leads to a database that is read-only: turn default_transaction_read_only off`,
    )
    expect(await probed.look()).toMatchObject(unsuitable(message))
    expect(probed.made).toEqual([])
    await alter(target, 'RESET default_transaction_read_only', 'off')
    expect(await probed.look()).toMatchObject({ status: 'True' })
  })
})

describe('a server that is too old', async () => {
  const server = new EmbeddedPostgres({
    folder: join(await temporaryFolder(), 'postgres'),
    programs: { folder: await postgresPrograms(14), locale: ['--locale=C'] },
    settings: { fsync: 'off', shared_buffers: '64MB' },
  })
  atEndOfFile(() => server.destroy())
  await server.start()

  test('is refused with its version and the one that is needed, and nothing is made in it', async () => {
    const probed = new ProbedWorld({ secretRef: server.url('postgres') })
    expect(await probed.look()).toMatchObject(unsuitable(/PostgreSQL 14\.\d+; 15 or newer is needed/))
    expect(probed.made).toEqual([])
  })
})
