/** Runs around each test file: what the file made is taken down, and nothing else may be left open. */
import { afterAll } from 'vitest'
import { endFile } from './end-of-file.ts'
import { expectNoLeaks, openResources } from './leaks.ts'

const before = openResources()

// Registered before any hook of the file, and so run after all of them.
afterAll(async () => {
  await endFile()
  await expectNoLeaks(before)
})
