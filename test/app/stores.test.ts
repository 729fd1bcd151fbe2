import { PgBoss } from 'pg-boss'
import { expect, test, vi } from 'vitest'
import { startTestService } from '../support/service.ts'

test("a replica runs pg-boss's maintenance once", async () => {
  const start = vi.spyOn(PgBoss.prototype, 'start')
  const service = await startTestService()
  await service.stop()

  expect(start).toHaveBeenCalledTimes(1)
})
