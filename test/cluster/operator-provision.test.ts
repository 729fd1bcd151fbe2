import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PROVISIONING_VERSION } from '../../operator/api/provisions.ts'
import { eventually } from '../support/eventually.ts'
import { provideFormerImages } from './kit/former-images.ts'
import { useNamespace } from './kit/namespace.ts'
import { ensureOperator, Instance, installOperator } from './kit/operator.ts'

const space = useNamespace('provision')
/** It is always open: a new operator restarts a database in its maintenance window only. */
const OPEN = { maintenance: { window: { schedule: '0 * * * *', duration: '1h' } } }
let crawl: Instance

const sql = (query: string) =>
  space.exec('crawl-db-0', ['psql', '-XAt', '-U', 'postgres', '-d', 'storage', '-c', query])

beforeAll(async () => {
  const former = await provideFormerImages('operator/api/provisions.ts')
  await installOperator({ namespace: 'sonoma-storage', watchNamespaces: [], ...former })
  crawl = await Instance.create(space, OPEN)
  await crawl.ready(240)
})

afterAll(() => ensureOperator())

describe('a volume that the commit before provisioning made', () => {
  test('gets what a new one has: the operator is upgraded, the database restarts for it, and a run does the rest', async () => {
    expect(await sql("SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'")).toBe('0')
    await sql("INSERT INTO public.documents (url) VALUES ('https://kept.example/')")
    await ensureOperator()
    await eventually(
      async () => {
        const { status } = await crawl.get()
        expect(status?.database).toMatchObject({ provisioning: PROVISIONING_VERSION })
      },
      { timeoutMs: 240_000, intervalMs: 2_000 },
    )
    await crawl.ready(240)
    expect(await sql('SELECT url FROM public.documents')).toBe('https://kept.example/')
    expect(await sql("SELECT rolreplication AND NOT rolsuper FROM pg_roles WHERE rolname = 'storage_backup'")).toBe('t')
    expect(await sql("SELECT has_table_privilege('storage_backup', 'public.documents', 'SELECT')")).toBe('t')
    expect(await sql("SELECT pg_has_role('storage_owner', 'pg_monitor', 'USAGE')")).toBe('t')
    expect(await sql("SELECT pg_has_role('storage_owner', 'postgres', 'MEMBER')")).toBe('f')
    const extensions = await sql(
      "SELECT extname FROM pg_extension WHERE extname IN ('amcheck', 'pgstattuple') ORDER BY 1",
    )
    expect(extensions).toBe('amcheck\npgstattuple')
    expect(await sql('SHOW max_slot_wal_keep_size')).toBe('2560MB')
    expect((await crawl.get()).status?.database?.capabilities).toEqual(
      expect.arrayContaining(['monitor', 'replication']),
    )
  })

  test('was provided for by one run, which succeeded', async () => {
    const runs = await space.list('jobs', 'app.kubernetes.io/component=provision')
    expect(runs).toMatchObject([{ status: { succeeded: 1 } }])
  })
})
