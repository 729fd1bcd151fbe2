import type { Bench } from '../bench.ts'
import type { Case, Goal, Turn } from '../case.ts'
import type { DocumentsSpec } from '../load/spec.ts'
import { SIDES, type Side } from '../postgres.ts'

const SINGLE = { connections: 32 }
const HUNDRED = { connections: 8, batch: 100 }
const THOUSAND = { connections: 8, batch: 1_000 }
const STOCK = 200_000
const STOCK_FOR_NEW = 50_000
const STOCK_TO_RECRAWL = 50_000
const RECRAWLS = 3
// Rounds before the first have negative numbers, and the stock is crawl 0.
const WARM_UPS = 10
const IDS = 20_000

type Shape = { connections: number; batch: number }

function documents(shape: Shape, part: Pick<DocumentsSpec, 'first' | 'amount'> & Partial<DocumentsSpec>) {
  const { first, amount } = part
  return { kind: 'documents' as const, of: first + amount, scatter: false, crawl: 0, ...shape, ...part }
}

/** Each side writes the stock itself, so that it finds what it would have written. */
async function stock(bench: Bench, amount: number): Promise<void> {
  for (const side of SIDES) {
    await bench.run(side, documents(THOUSAND, { first: bench.take(side, amount), amount }))
  }
}

async function newTurn({ bench, side, amount }: Turn, shape: Shape) {
  return bench.prepare(side, documents(shape, { first: bench.take(side, amount), amount }))
}

async function sameTurn(turn: Turn, shape: Shape) {
  const { bench, side, amount } = turn
  const of = bench.scale(STOCK)
  return bench.prepare(side, documents(shape, { first: 0, amount: Math.min(amount, of), of }))
}

/**
 * Every known document is crawled three times more, in an order that jumps all over the table. Always so many: a page of
 * the table goes to the WAL whole when it is first changed after a checkpoint, so WAL a document depends on how many share
 * it. Three times is what 10,000 documents a second make of a million in the five minutes between two checkpoints.
 */
async function newerTurn({ bench, side, round }: Turn, shape: Shape) {
  const of = bench.scale(STOCK_TO_RECRAWL)
  const crawl = (round + WARM_UPS) * RECRAWLS
  return bench.prepare(side, documents(shape, { first: 0, amount: of * RECRAWLS, of, scatter: true, crawl }))
}

async function getTurn({ bench, side, amount }: Turn) {
  const sql = 'SELECT id FROM public.documents ORDER BY content_hash, id LIMIT $1'
  const rows = await bench.postgres.query<{ id: string }>(side, sql, [bench.scale(IDS)])
  return bench.prepare(side, { kind: 'get', ...SINGLE, ids: rows.map(({ id }) => id), amount })
}

async function checkStored({ bench, side }: Turn): Promise<void> {
  await expectDocuments(bench, side, bench.take(side, 0))
}

async function expectDocuments(bench: Bench, side: Side, wanted: number): Promise<void> {
  const sql = 'SELECT count(*)::integer AS count FROM public.documents'
  const [row] = await bench.postgres.query<{ count: number }>(side, sql)
  if (row?.count !== wanted) throw new Error(`${side} holds ${row?.count} documents; ${wanted} were expected.`)
}

function rate(atLeast: number): Goal {
  return { metric: 'rowsPerSecond', compare: 'ratio', atLeast, label: 'documents/s' }
}

function wal(atMost: number): Goal {
  return { metric: 'walBytesPerRow', compare: 'ratio', atMost, label: 'WAL bytes/document' }
}

function writeCase(shape: Shape, more: Pick<Case, 'name' | 'title' | 'goals' | 'turn'>, stocked: number): Case {
  return {
    ...more,
    against: 'raw upsert',
    baseline: 'raw',
    amount: 16_000,
    granule: shape.batch * shape.connections,
    setUp: (bench) => stock(bench, bench.scale(stocked)),
    check: checkStored,
  }
}

function newCase(shape: Shape, name: string, title: string): Case {
  return writeCase(shape, { name, title, goals: [rate(0.95)], turn: (turn) => newTurn(turn, shape) }, STOCK_FOR_NEW)
}

function feedCase(subject: Case): Case {
  const { name, title } = subject
  return {
    ...subject,
    name: name.replace('documents', 'feed'),
    title: `${title}, with the change feed`,
    against: 'the same without it',
    baseline: 'feedless',
    goals: [rate(0.95)],
  }
}

const PLAIN_CASES: Case[] = [
  newCase(HUNDRED, 'documents-100', 'documents, 100 new'),
  newCase(THOUSAND, 'documents-1000', 'documents, 1,000 new'),
  writeCase(
    HUNDRED,
    {
      name: 'documents-unchanged',
      title: 'documents, 100 unchanged, same crawledAt',
      goals: [rate(1.8), wal(0.05)],
      turn: (turn) => sameTurn(turn, HUNDRED),
    },
    STOCK,
  ),
  {
    ...writeCase(
      HUNDRED,
      {
        name: 'documents-distinct',
        title: 'documents, 100 unchanged, same crawledAt',
        goals: [rate(1)],
        turn: (turn) => sameTurn(turn, HUNDRED),
      },
      STOCK,
    ),
    against: 'raw upsert WHERE ... IS DISTINCT FROM',
    baseline: 'distinct',
  },
  writeCase(
    HUNDRED,
    {
      name: 'documents-newer',
      title: 'documents, 100 unchanged, newer crawledAt, random order',
      goals: [rate(1.2), wal(0.3)],
      turn: (turn) => newerTurn(turn, HUNDRED),
    },
    STOCK_TO_RECRAWL,
  ),
  {
    name: 'get',
    title: 'get by id, 32 connections',
    against: 'raw SELECT',
    baseline: 'raw',
    goals: [rate(1)],
    amount: 8_000,
    granule: SINGLE.connections,
    setUp: (bench) => stock(bench, bench.scale(STOCK)),
    turn: getTurn,
  },
]

/** What of them the change feed makes dearer: whatever writes an index entry, or might. */
const WITH_FEED = new Set(['documents-100', 'documents-1000', 'documents-newer'])

/** Writing documents, new and known, with and without the change feed, and reading one. */
export const DOCUMENT_CASES: Case[] = [
  ...PLAIN_CASES,
  ...PLAIN_CASES.filter(({ name }) => WITH_FEED.has(name)).map(feedCase),
]
