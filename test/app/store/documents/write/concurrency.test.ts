import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { WriteOutcome } from '../../../../../app/store/documents/write/write-request.ts'
import { at, BELIEFS, createTestStore, FixedNovelty, type Read, summary, uuid } from '../test-store.ts'

const novelty = new FixedNovelty()
const { store, write, stored, test: database } = await createTestStore({ novelty })

const WRITERS = 8
const URLS = 300

/** Documents of the same urls in an order of the writer's own. */
function batch(writer: number, round: number) {
  return Array.from({ length: URLS }, (_, n) => {
    const k = (n * 7 + writer * 31) % URLS
    return { url: `https://x.example/${k}`, metadata: { crawledAt: at(round * WRITERS + writer), writer, round } }
  })
}

test.each(BELIEFS)(
  'overlapping requests at the same time lose no document and no count (believed: %s)',
  async (belief) => {
    novelty.belief = belief
    await database.query('TRUNCATE public.documents')
    const rounds = 5
    const totals = summary({})
    for (let round = 0; round < rounds; round += 1) {
      const outcomes = await Promise.all(
        Array.from({ length: WRITERS }, (_, writer) => {
          const enqueue = writer % 2 === 0 ? [{ queue: 'q', items: [] }] : undefined
          return write(batch(writer, round), { enqueue })
        }),
      )
      for (const outcome of outcomes) {
        expect(outcome).toMatchObject({ stored: URLS, failed: 0 })
        for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += outcome.summary[key]
      }
    }
    expect(totals.inserted).toBe(URLS)
    expect(totals.inserted + totals.updated + totals.stale).toBe(URLS * WRITERS * rounds)
    const documents = await stored()
    expect(documents.size).toBe(URLS)
    for (const { metadata } of documents.values()) {
      expect(metadata).toMatchObject({ writer: WRITERS - 1, round: rounds - 1 })
    }
  },
  60_000,
)

type Writer = { id: number | null; url: number }

function checkTruth({ id, url }: Writer, { stored: isStored, errors }: WriteOutcome, documents: Read[]): void {
  const there = documents.find((document) => document.url === `https://x.example/${url}`)
  if (isStored === 1) expect(there?.id).toBe(id === null ? there?.id : uuid(id))
  const [error] = errors
  if (error?.code === 'url_conflict') expect(there?.id).toBe(error.storedId)
  else if (error !== undefined) expect(documents.map((document) => document.id)).toContain(uuid(id ?? -1))
}

test('requests for the same new url or id at the same time: one of them has it, each is told the truth', async () => {
  const race = fc.record({
    belief: fc.constantFrom(...BELIEFS),
    writers: fc.array(
      fc.record({ id: fc.option(fc.integer({ min: 0, max: 2 })), url: fc.integer({ min: 0, max: 2 }) }),
      { minLength: 2, maxLength: 10 },
    ),
  })
  await fc.assert(
    fc.asyncProperty(race, async ({ writers, belief }) => {
      novelty.belief = belief
      await database.query('TRUNCATE public.documents')
      const outcomes = await Promise.all(
        writers.map(({ id, url }) => write([{ id: id === null ? null : uuid(id), url: `https://x.example/${url}` }])),
      )
      const documents = [...(await stored()).values()]
      expect(outcomes.reduce((sum, { summary: { inserted } }) => sum + inserted, 0)).toBe(documents.length)
      for (const [n, outcome] of outcomes.entries()) checkTruth(writers[n] as Writer, outcome, documents)
    }),
    { numRuns: 40 },
  )
}, 60_000)

test('writes, patches and deletes of the same documents at the same time all get their answer', async () => {
  await database.query('TRUNCATE public.documents')
  await write(batch(0, 0))
  const targets = [...(await stored()).values()].map(({ id }) => id)
  const work = Array.from({ length: 60 }, (_, n) => {
    if (n % 3 === 0) return write(batch(n, n))
    if (n % 3 === 1) return store.deleteMany(targets.slice(n, n + 50).reverse())
    const id = targets[(n * 13) % targets.length] as string
    return store.patch(id, { status: String(n) }, undefined).catch((error) => expect(error.code).toBe('not_found'))
  })
  const outcomes = await Promise.all(work)
  for (const [n, outcome] of outcomes.entries()) {
    if (n % 3 === 0) expect(outcome).toMatchObject({ stored: URLS, failed: 0 })
  }
}, 60_000)
