/** Whether the tests that break things run whole (`npm run test:fault`) or short (`npm test`). */
export const isLong: boolean = process.env.TEST_FORM === 'long'

/** Repeats a failed run: `TEST_SEED`, or a new one that the test prints. */
export const seed: number = Number(process.env.TEST_SEED ?? Date.now() % 1_000_000)
