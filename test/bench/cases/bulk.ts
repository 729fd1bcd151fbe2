import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Bench } from '../bench.ts'
import type { Case, Turn } from '../case.ts'
import { documentAt } from '../data.ts'
import type { LoadResult } from '../load/spec.ts'

const DOCUMENTS = 2_000_000
const LINES_A_WRITE = 1_000
const RSS_LIMIT_MIB = 256
const IDLE_RSS_LIMIT_MIB = 120
const IDLE_MS = 10_000

function fileOf(bench: Bench): string {
  return join(bench.postgres.folder, 'documents.ndjson')
}

/** Writes the documents as NDJSON, once for all cases. */
async function writeFile(bench: Bench): Promise<void> {
  const path = fileOf(bench)
  if (
    await access(path).then(
      () => true,
      () => false,
    )
  )
    return
  const file = createWriteStream(path)
  for (let start = 0; start < bench.scale(DOCUMENTS); start += LINES_A_WRITE) {
    const lines = Array.from(
      { length: LINES_A_WRITE },
      (_, offset) => `${JSON.stringify(documentAt(start + offset))}\n`,
    )
    if (!file.write(lines.join(''))) await once(file, 'drain')
  }
  file.end()
  await once(file, 'close')
}

async function importTurn({ bench, side }: Turn) {
  await bench.postgres.query(side, 'TRUNCATE public.documents')
  const file = fileOf(bench)
  return side === 'ours' ? bench.prepare(side, { kind: 'import', file }) : () => bench.bulkScript('import', file)
}

/** Both sides export the very same rows. */
async function stockForExport(bench: Bench): Promise<void> {
  await writeFile(bench)
  await bench.run('ours', { kind: 'import', file: fileOf(bench) })
  await bench.postgres.copyToBaseline('public.documents')
  await bench.restartOurs()
}

async function exportTurn({ bench, side }: Turn) {
  return side === 'ours' ? bench.prepare(side, { kind: 'export' }) : () => bench.bulkScript('export')
}

async function checkAll({ bench, side }: Turn, { rows }: LoadResult): Promise<void> {
  const wanted = bench.scale(DOCUMENTS)
  const sql = 'SELECT count(*)::integer AS count FROM public.documents'
  const [stored] = await bench.postgres.query<{ count: number }>(side, sql)
  if (rows === wanted && stored?.count === wanted) return
  throw new Error(`${side} moved ${rows} documents and holds ${stored?.count}; ${wanted} were expected.`)
}

function bulkCase(more: Pick<Case, 'name' | 'title' | 'against' | 'setUp' | 'turn'>, atLeast: number): Case {
  return {
    ...more,
    baseline: 'script',
    goals: [
      { metric: 'rowsPerSecond', compare: 'ratio', atLeast, label: 'documents/s' },
      { metric: 'peakRssMiB', compare: 'value', atMost: RSS_LIMIT_MIB, label: 'peak RSS MiB' },
    ],
    amount: 0,
    fixed: true,
    granule: 1,
    rounds: 3,
    check: checkAll,
  }
}

/** The streams of 2 million documents, and the memory of a service that does nothing. */
export const BULK_CASES: Case[] = [
  bulkCase(
    {
      name: 'import',
      title: 'NDJSON import of 2 million',
      against: 'COPY to a temporary table and merge, no HTTP',
      setUp: writeFile,
      turn: importTurn,
    },
    1,
  ),
  bulkCase(
    {
      name: 'export',
      title: 'export of 2 million',
      against: 'a raw cursor, no HTTP',
      setUp: stockForExport,
      turn: exportTurn,
    },
    0.8,
  ),
  {
    name: 'idle',
    title: 'idle service',
    against: '',
    baseline: 'none',
    goals: [{ metric: 'rssMiB', compare: 'value', atMost: IDLE_RSS_LIMIT_MIB, label: 'RSS MiB' }],
    amount: 0,
    fixed: true,
    granule: 1,
    rounds: 1,
    turn: async () => async () => {
      await delay(IDLE_MS)
      return { rows: 1, seconds: IDLE_MS / 1_000, requests: 0 }
    },
  },
]
