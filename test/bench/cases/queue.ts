import type { Bench } from '../bench.ts'
import type { Case, Turn } from '../case.ts'
import { QUEUE } from '../data.ts'
import type { PushSpec } from '../load/spec.ts'
import { SIDES, type Side } from '../postgres.ts'

const SINGLE = { connections: 32, batch: 1 }
const HUNDRED = { connections: 8, batch: 100 }
const THOUSAND = { connections: 8, batch: 1_000 }
const STOCK = 50_000

type Shape = { connections: number; batch: number }

type Ids = PushSpec['ids']

async function push(bench: Bench, side: Side, amount: number, ids: Ids = 'urls'): Promise<void> {
  await bench.run(side, { kind: 'push', ...THOUSAND, first: bench.take(side, amount), amount, ids })
}

/** Some waiting items, so that plans and indexes are not those of an empty table. */
async function stock(bench: Bench, ids?: Ids): Promise<void> {
  for (const side of SIDES) await push(bench, side, bench.scale(STOCK), ids)
}

async function pushTurn({ bench, side, amount }: Turn, shape: Shape, ids: Ids = 'urls') {
  return bench.prepare(side, { kind: 'push', ...shape, first: bench.take(side, amount), amount, ids })
}

async function popTurn({ bench, side, amount }: Turn, shape: Shape) {
  await push(bench, side, amount)
  return bench.prepare(side, { kind: 'pop-ack', ...shape, amount })
}

/** Every item that was pushed since the start is there. */
async function checkPushed({ bench, side }: Turn): Promise<void> {
  await expectItems(bench, side, bench.take(side, 0))
}

/** Every popped item is gone, so only the stock is left. */
async function checkPopped({ bench, side }: Turn): Promise<void> {
  await expectItems(bench, side, bench.scale(STOCK))
}

async function checkLean({ bench, side }: Turn): Promise<void> {
  await expectItems(bench, side, bench.take(side, 0), side === 'ours' ? COUNT : COUNT_LEAN)
}

const COUNT = 'SELECT count(*)::integer AS count FROM pgboss.job_common WHERE name = $1'
const COUNT_LEAN = 'SELECT count(*)::integer AS count FROM bench.item WHERE queue = $1'

async function expectItems(bench: Bench, side: Side, wanted: number, sql = COUNT): Promise<void> {
  const [row] = await bench.postgres.query<{ count: number }>(side, sql, [QUEUE])
  if (row?.count !== wanted) throw new Error(`${side} holds ${row?.count} items; ${wanted} were expected.`)
}

function pushCase(shape: Shape, more: Pick<Case, 'name' | 'title' | 'against' | 'baseline'>, atLeast: number): Case {
  return {
    ...more,
    goals: [{ metric: 'rowsPerSecond', compare: 'ratio', atLeast, label: 'items/s' }],
    amount: shape.batch === 1 ? 4_000 : 20_000,
    granule: shape.batch * shape.connections,
    setUp: (bench) => stock(bench),
    turn: (turn) => pushTurn(turn, shape),
    check: checkPushed,
  }
}

function leanCase(shape: Shape, title: string, atLeast: number): Case {
  const name = `push-${shape.batch}-lean`
  return {
    ...pushCase(shape, { name, title, against: 'lean table of its own', baseline: 'lean' }, atLeast),
    setUp: (bench) => stock(bench, 'uuids'),
    turn: (turn) => pushTurn(turn, shape, 'uuids'),
    check: checkLean,
  }
}

function popCase(shape: Shape, more: Pick<Case, 'name' | 'title'>, atLeast: number): Case {
  return {
    ...more,
    against: 'raw lease UPDATE, then DELETE',
    baseline: 'raw',
    goals: [{ metric: 'rowsPerSecond', compare: 'ratio', atLeast, label: 'items/s' }],
    amount: shape.batch === 1 ? 3_000 : 20_000,
    granule: shape.batch * shape.connections,
    setUp: (bench) => stock(bench),
    turn: (turn) => popTurn(turn, shape),
    check: checkPopped,
  }
}

const RAW_RECORDSET = { against: 'raw insert by json_to_recordset', baseline: 'raw' as const }

/** Push, pop and ack. */
export const QUEUE_CASES: Case[] = [
  pushCase(SINGLE, { name: 'push-1', title: 'push of 1, 32 connections', against: 'raw INSERT', baseline: 'raw' }, 1.5),
  pushCase(
    SINGLE,
    { name: 'push-1-pg-boss', title: 'push of 1, 32 connections', against: 'plain pg-boss insert', baseline: 'boss' },
    4,
  ),
  pushCase(HUNDRED, { name: 'push-100', title: 'push of 100', ...RAW_RECORDSET }, 0.65),
  pushCase(THOUSAND, { name: 'push-1000', title: 'push of 1,000', ...RAW_RECORDSET }, 0.65),
  leanCase(SINGLE, 'push of 1 with UUIDs, 32 connections', 0.9),
  leanCase(HUNDRED, 'push of 100 with UUIDs', 0.48),
  leanCase(THOUSAND, 'push of 1,000 with UUIDs', 0.48),
  popCase(SINGLE, { name: 'pop-1', title: 'pop 1 + ack 1, 32 connections' }, 1.4),
  popCase(HUNDRED, { name: 'pop-100', title: 'pop 100 + ack 100' }, 0.6),
]
