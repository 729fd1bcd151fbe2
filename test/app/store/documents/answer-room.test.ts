import { expect, test } from 'vitest'
import { ByteBudget } from '../../../../app/byte-budget.ts'
import { AnswerRoom } from '../../../../app/store/answer-room.ts'
import { eventually } from '../../../support/eventually.ts'
import { createTestStore } from './test-store.ts'

const MAX_BYTES = 32 * 1_048_576

/** Memory that says how often it was asked, and lets in whoever asked when it is told to. */
class Gate {
  readonly maxBytes = 4 * MAX_BYTES
  asked = 0
  released = 0
  readonly opened = Promise.withResolvers<void>()

  /** Small answers are always let in. */
  tryHold(): { release(): void } {
    return { release: () => {} }
  }

  async hold(): Promise<{ release(): void }> {
    this.asked += 1
    await this.opened.promise
    return {
      release: () => {
        this.released += 1
      },
    }
  }
}

test('large lists and look-ups wait for room in memory, and small ones do not', async () => {
  const gate = new Gate()
  const { store, test: database } = await createTestStore({ room: new AnswerRoom(gate, MAX_BYTES) })
  await database.query(
    `INSERT INTO public.documents (url, host, metadata)
     SELECT 'https://large.example/' || n, 'large.example', jsonb_build_object('x', repeat(md5(n::text), 8000))
     FROM generate_series(1, 40) AS n`,
  )
  const urls = Array.from({ length: 40 }, (_, n) => `https://large.example/${n + 1}`)
  await store.list({ limit: 5 })
  await store.list({ limit: 40, fields: ['url'] })
  await store.lookUp({ urls: urls.slice(0, 5) })
  expect(gate.asked).toBe(0)

  const [page, found] = [store.list({ limit: 40 }), store.lookUp({ urls })]
  await eventually(() => expect(gate.asked).toBe(2))
  gate.opened.resolve()
  expect((await page).count).toBe(40)
  expect(JSON.parse(String(await found)).documents).toHaveLength(40)
  expect(gate.released).toBe(2)
})

test('however many answers are made at once, there is room for other requests', async () => {
  const budget = new ByteBudget(4 * MAX_BYTES)
  const room = new AnswerRoom(budget, MAX_BYTES)
  const opened = Promise.withResolvers<void>()
  let made = 0
  const answers = Array.from({ length: 100 }, () =>
    room.small(room.smallBytes, async () => {
      await opened.promise
      made += 1
    }),
  )
  expect(budget.waiting).toBeGreaterThan(0)
  expect(budget.tryHold(budget.maxBytes / 8)).toBeDefined()
  expect(budget.isFull).toBe(false)
  expect(await room.tryWhole(async () => 'made')).toBeUndefined()
  opened.resolve()
  await Promise.all(answers)
  expect(made).toBe(100)
})
