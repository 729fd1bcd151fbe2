/** The tests of `npm run test:fault`. `npm test` runs them, too, unless `TEST_FAULT=apart` leaves them to that command. */
export const faultTests: string[] = [
  'test/fault/**/*.test.ts',
  'test/fuzz/**/*.test.ts',
  'test/conformance/schemathesis/*.test.ts',
  'test/real/crawl*.test.ts',
]
