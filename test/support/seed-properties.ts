/** Repeats the properties of a run: `TEST_SEED` is the seed of fast-check, too. */
import { seed } from '../fault/form.ts'

if (process.env.TEST_SEED) {
  const { configureGlobal } = await import('fast-check')
  configureGlobal({ seed })
}
