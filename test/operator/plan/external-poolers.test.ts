import { describe, expect, inject, test } from 'vitest'
import { emptyDatabase } from '../../migrations/fixture.ts'
import { startOwnServer } from '../../support/database.ts'
import { demote } from '../../support/demote.ts'
import { atEndOfFile } from '../../support/end-of-file.ts'
import { PgBouncer } from '../../support/pgbouncer.ts'
import type { PgBouncerVersion } from '../../support/pgbouncer-programs.ts'
import { temporaryFolder } from '../../support/temporary.ts'
import { type Addresses, ProbedWorld } from './probed-world.ts'

const VERSIONS: PgBouncerVersion[] = ['1.18.0', '1.24.1']
const LISTEN_LACKS = /through which LISTEN does not work.* set directSecretRef/

async function startBouncer(version: PgBouncerVersion, target: string): Promise<PgBouncer> {
  const bouncer = await PgBouncer.start({ version, target, folder: await temporaryFolder() })
  atEndOfFile(() => bouncer.stop())
  return bouncer
}

describe.each(VERSIONS)('a database behind PgBouncer %s', async (version) => {
  const direct = await emptyDatabase(`pooled_${version.replaceAll('.', '_')}`)
  const other = await emptyDatabase(`pooled_other_${version.replaceAll('.', '_')}`)
  const bouncer = await startBouncer(version, inject('postgresUrl'))
  const [pooled, otherPooled] = [bouncer.url(direct), bouncer.url(other)]
  const bothDirect = { ownerSecretRef: direct, directSecretRef: direct }

  test.each<[string, Addresses, RegExp, boolean]>([
    ['with an owner past it', { secretRef: pooled, ownerSecretRef: direct }, LISTEN_LACKS, false],
    ['with LISTEN past it', { secretRef: pooled, directSecretRef: direct }, /accepts connections\.$/, true],
    ['with both past it', { secretRef: pooled, ...bothDirect }, /accepts connections\.$/, true],
  ])('is used %s', async (_how, addresses, message, canListen) => {
    const probed = new ProbedWorld(addresses)
    const condition = await probed.look()
    expect(condition).toMatchObject({ status: 'True', message: expect.stringMatching(message) })
    const { capabilities = [] } = probed.world.instance.status?.database ?? {}
    expect(capabilities.includes('listen')).toBe(canListen)
    expect(probed.made).toEqual([expect.stringContaining('-migrate-')])
  })

  test.each<[string, Addresses, RegExp]>([
    ['for migrations', { secretRef: pooled }, /^secretRef leads to a pooler, and migrations cannot run/],
    [
      'for the owner',
      { secretRef: direct, ownerSecretRef: pooled },
      /^ownerSecretRef leads to a pooler, and migrations cannot run/,
    ],
    ['for LISTEN', { secretRef: pooled, directSecretRef: pooled }, /^directSecretRef leads to a pooler, too/],
    ['of another database', { secretRef: otherPooled, ...bothDirect }, /lead to different databases/],
  ])('is refused %s', async (_what, addresses, message) => {
    const probed = new ProbedWorld(addresses)
    const refused = { status: 'False', reason: 'DatabaseUnsuitable', message: expect.stringMatching(message) }
    expect(await probed.look()).toMatchObject(refused)
    expect(probed.made).toEqual([])
  })

  test('is refused while a standby is there, and is away while no server is, although the pooler lets us in', async () => {
    const own = await startOwnServer()
    const pool = await startBouncer(version, own.url)
    const probed = new ProbedWorld({ secretRef: pool.url(own.url), ownerSecretRef: direct })
    await demote(own)
    expect((await probed.look()).message).toMatch(/^secretRef leads to a standby/)
    await own.server.stop()
    const away = { status: 'False', reason: 'DatabaseUnreachable', message: expect.stringContaining('secretRef') }
    expect(await probed.look()).toMatchObject(away)
  })
})
