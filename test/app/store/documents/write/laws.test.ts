import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Model, type SentDocument } from '../model.ts'
import { at, BELIEFS, type Belief, createTestStore, FixedNovelty, type Read, uuid } from '../test-store.ts'

const novelty = new FixedNovelty()
const { store, write, stored, test: database } = await createTestStore({ novelty })

const urls = Array.from({ length: 5 }, (_, n) => `https://x.example/${n}`)
const ids = Array.from({ length: 4 }, (_, n) => uuid(n))

const document = fc.record<SentDocument>({
  id: fc.option(fc.constantFrom(...ids), { freq: 2 }),
  url: fc.constantFrom(...urls),
  status: fc.constantFrom(null, 'a', 'b'),
  crawled: fc.integer({ min: 0, max: 3 }),
  content: fc.integer({ min: 0, max: 2 }),
})

type Write = { kind: 'write'; documents: SentDocument[]; atomic: boolean; belief: Belief }
type Step =
  | Write
  | { kind: 'patch'; url: string; change: { status?: string | null; crawled?: number; content?: number } }
  | { kind: 'delete'; url: string }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      documents: fc.array(document, { minLength: 1, maxLength: 8 }),
      atomic: fc.boolean(),
      belief: fc.constantFrom(...BELIEFS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('patch' as const),
      url: fc.constantFrom(...urls),
      change: fc.record(
        {
          status: fc.constantFrom(null, 'a', 'b'),
          crawled: fc.integer({ min: 0, max: 3 }),
          content: fc.integer({ min: 0, max: 2 }),
        },
        { requiredKeys: [] },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), url: fc.constantFrom(...urls) }) },
)

test('any sequence of writes, patches and deletes ends as the model says, counts included', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (steps) => {
      await database.query('TRUNCATE public.documents')
      const model = new Model()
      for (const one of steps) await take(one, model)
    }),
    { numRuns: 150 },
  )
}, 120_000)

async function take(one: Step, model: Model): Promise<void> {
  const before = await stored()
  const moves = new Map([...model.documents].map(([url, { moves }]) => [url, moves]))
  if (one.kind === 'write') await takeWrite(one, model)
  if (one.kind === 'patch') await takePatch(one, before.get(one.url), model)
  if (one.kind === 'delete') await takeDelete(before.get(one.url), model, one.url)
  compare(await stored(), before, moves, model)
}

async function takeWrite({ documents, atomic, belief }: Write, model: Model): Promise<void> {
  novelty.belief = belief
  const sent = documents.map(({ id, url, status, crawled, content }) => ({
    id,
    url,
    status,
    metadata: { crawledAt: at(crawled), content },
  }))
  const { errors, ...counts } = model.write(documents)
  const enqueue = atomic ? [{ queue: 'q', items: [] }] : undefined
  const outcome = await write(sent, { enqueue })
  expect(outcome.summary).toEqual(counts)
  expect(outcome.stored + outcome.failed).toBe(documents.length)
  expect(new Map(outcome.errors.map(({ index, code }) => [index, code]))).toEqual(errors)
}

async function takePatch({ change }: Step & { kind: 'patch' }, target: Read | undefined, model: Model): Promise<void> {
  if (target === undefined) return
  const { status, crawled, content } = change
  const metadata = {
    ...(crawled !== undefined && { crawledAt: at(crawled) }),
    ...(content !== undefined && { content }),
  }
  const { json } = await store.patch(target.id, { ...(status !== undefined && { status }), metadata }, undefined)
  expect(JSON.parse(json).id).toBe(target.id)
  model.patch(target.url, change)
}

async function takeDelete(target: Read | undefined, model: Model, url: string): Promise<void> {
  if (target === undefined) return
  await store.delete(target.id, undefined)
  model.documents.delete(url)
}

function compare(now: Map<string, Read>, before: Map<string, Read>, moves: Map<string, number>, model: Model): void {
  expect(new Set(now.keys())).toEqual(new Set(model.documents.keys()))
  for (const [url, wanted] of model.documents) {
    const document = now.get(url) as Read
    const earlier = before.get(url)
    if (wanted.id === null) wanted.id = document.id
    expect(document).toMatchObject({ id: wanted.id, status: wanted.status })
    expect(document.metadata).toEqual({ content: wanted.content, crawledAt: at(wanted.crawled).replace('Z', '000Z') })
    if (moves.has(url) && earlier)
      expect(document.updatedAt !== earlier.updatedAt).toBe(moves.get(url) !== wanted.moves)
  }
}
