import { expect, test } from 'vitest'
import { createTestDatabase } from '../support/database.ts'

test('a', async () => {
  const d = await createTestDatabase()
  console.log(await d.query('select count(*) from documents'), process.getActiveResourcesInfo())
  if (process.env.LEAK) {
    setTimeout(() => {}, 100000)
  }
  expect(1).toBe(process.env.BAD ? 2 : 1)
})
