/** Answers that are larger than what may be held in memory. */
import { type Attack, expectOneOf } from './attack.ts'
import { json, post } from './shots.ts'
import { LARGE } from './victim.ts'

/** `MAX_ANSWER_BYTES`, and what is around the payloads. */
const MOST_BYTES = 34 * 2 ** 20

export function attacksByLargeAnswers(): Attack[] {
  return [{ name: 'pops of more than an answer holds, of which nothing is lost', as: 'Write', atOnce: 1, shots: pops }]
}

function pops() {
  let popped = 0
  const pop = post(
    'Write',
    '/api/queue',
    json({ operation: 'pop', queue: LARGE.queue, count: 10_000 }),
    expectOneOf(200),
  )
  const mayAnswer = (status: number | undefined, body: string) => {
    popped += body.split('"payload"').length - 1
    return status === 200 && body.length < MOST_BYTES
  }
  const last = {
    ...pop,
    name: 'the last pop',
    mayAnswer: (status: number | undefined) => status === 200 && popped === LARGE.items,
  }
  return [...Array.from({ length: 3 }, () => ({ ...pop, mayAnswer })), last]
}
