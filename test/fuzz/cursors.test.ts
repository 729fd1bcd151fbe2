import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { ITEM_STATES } from '../../app/store/queue/item/item-states.ts'
import { startTestService } from '../support/service.ts'

const service = await startTestService()
const RUNS = 150
const SLOW_MS = 5_000
const HOST = 'host=a.example'
const LISTS = [
  '/api/documents?',
  `/api/documents?${HOST}&`,
  ...ITEM_STATES.map((state) => `/api/queues/q/items?state=${state}&`),
]

type Page = { nextCursor: string; code: string }

/** A real cursor of each list. */
const real = new Map<string, string>()

beforeAll(async () => {
  const documents = ['a', 'b', 'c'].map((id) => ({ url: `https://a.example/${id}` }))
  await service.call('POST', '/api/documents', { documents })
  const push = (items: object[]) => service.call('POST', '/api/queue', { operation: 'push', queue: 'q', items })
  const lease = async () => {
    const pop = { operation: 'pop', queue: 'q', leaseSeconds: 600 }
    const { body } = await service.call<{ items: { receipt: string }[] }>('POST', '/api/queue', pop)
    return body.items.map(({ receipt }) => ({ receipt }))
  }
  const settle = (operation: string, items: object[]) =>
    service.call('POST', '/api/queue', { operation, queue: 'q', items })
  await service.call('PUT', '/api/queues/q', { keepDoneSeconds: 600, retryLimit: 0 })
  await push([{ id: 'a' }, { id: 'b' }])
  await settle('ack', await lease())
  await push([{ id: 'c' }, { id: 'd' }])
  await settle('nack', await lease())
  await push([{ id: 'e' }, { id: 'f' }])
  await lease()
  await push([{ id: 'g', delaySeconds: 60 }, { id: 'h', delaySeconds: 60 }, { id: 'i' }, { id: 'j' }])
  for (const list of LISTS) {
    const { body } = await service.call<Page>('GET', `${list}limit=1`)
    real.set(list, body.nextCursor)
  }
})

async function use(list: string, cursor: string): Promise<{ status: number; code: string | undefined }> {
  const startedAt = performance.now()
  const { status, body } = await service.call<Page>('GET', `${list}cursor=${encodeURIComponent(cursor)}`)
  expect(performance.now() - startedAt).toBeLessThan(SLOW_MS)
  return { status, code: status === 200 ? undefined : body.code }
}

const REFUSED = { status: 400, code: 'invalid_cursor' }
const UUID = '00000000-0000-0000-0000-000000000000'

const parts = (cursor: string): unknown[] => JSON.parse(Buffer.from(cursor, 'base64url').toString())
const encode = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Each time stands for one, to PostgreSQL or to JavaScript, but is not as the service writes it. */
const TIMES = [
  '2026-01-01T00:00:00+20:00',
  '2026-01-01T00:00:00Z',
  '2026-01-01T00:00:00.000000+00:00',
  '2026-01-01t00:00:00.000000z',
  '2026-01-01 00:00:00.000000Z',
  '2026-01-01T00:00:00.000000',
  '2026-06-30T23:59:60.000000Z',
  '2026-02-29T00:00:00.000000Z',
  '0000-01-01T00:00:00.000000Z',
  '10000-01-01T00:00:00.000000Z',
  '294276-12-31T23:59:59.999999Z',
  '-4713-11-24T00:00:00.000000Z',
  `2026-01-01T00:00:00.${'0'.repeat(100)}Z`,
  `2026-01-01T00:00:00.${'1'.repeat(11_000)}Z`,
  'infinity',
  '-infinity',
  'now',
  'epoch',
  '',
  '\u0000',
]
const NUMBERS = [
  '2147483648',
  '-2147483649',
  '1e400',
  '-1e400',
  '1.5',
  '1e0',
  '-0',
  '9007199254740993',
  '"0"',
  'null',
  '[]',
]
const IDS = ['', UUID.slice(1), `${UUID}0`, `{${UUID}}`, UUID.replaceAll('-', ''), `${UUID}\n`]

describe.each(LISTS)('%s', (list) => {
  const cursor = () => real.get(list) as string
  /** The cursor with another value at a place, as JSON text. */
  const withText = (place: number, json: string) =>
    encode(
      `[${parts(cursor())
        .map((part, n) => (n === place ? json : JSON.stringify(part)))
        .join(',')}]`,
    )
  const places = () => {
    const found = parts(cursor())
    return {
      time: found.findIndex((part) => /^\d{4}-.*Z$/.test(String(part))),
      id: found.findIndex((part) => String(part).length === 36),
    }
  }

  test('goes on with a real cursor', async () => {
    expect(await use(list, cursor())).toMatchObject({ status: 200 })
  })

  test('refuses times, numbers and ids that it does not write', async () => {
    const { time, id } = places()
    const forged = [
      ...TIMES.map((value) => withText(time, JSON.stringify(value))),
      ...NUMBERS.flatMap((value) => parts(cursor()).map((_, place) => withText(place, value))),
      ...IDS.map((value) => withText(id, JSON.stringify(value))),
      ...parts(cursor()).map((_, place) => encode(parts(cursor()).toSpliced(place, 1))),
      encode([...parts(cursor()), 0]),
    ].filter((one) => one !== cursor() && !isPlainNumber(list, one))
    for (const one of forged)
      expect(await use(list, one), Buffer.from(one, 'base64url').toString().slice(0, 200)).toEqual(REFUSED)
  })

  test('refuses other spellings of a real cursor', async () => {
    const spaced = encode(JSON.stringify(parts(cursor()), null, 1))
    const padded = `${cursor()}=`
    const others = [...real.values()].filter((other) => other !== cursor())
    for (const one of [spaced, padded, ` ${cursor()}`, `${cursor()}!`, cursor().slice(1), ...others]) {
      expect(await use(list, one), one).toEqual(REFUSED)
    }
  })

  test('is never a mistake of the service, whatever the cursor', async () => {
    const value = fc.oneof(
      fc.constantFrom(...TIMES, ...IDS),
      fc.json(),
      fc.integer(),
      fc.double(),
      fc.string({ unit: 'binary' }),
    )
    const mutated = fc
      .tuple(fc.nat(8), value)
      .map(([place, other]) => encode(parts(cursor()).with(place % parts(cursor()).length, other)))
    // An address with a NUL is refused before anything of it is looked at.
    const text = fc.string({ unit: 'binary' }).filter((one) => !one.includes('\0'))
    const any = fc.oneof(mutated, fc.jsonValue().map(encode), text, fc.base64String())
    await fc.assert(
      fc.asyncProperty(any, async (forged) => {
        const { status, code } = await use(list, forged)
        if (status !== 200) expect({ status, code }).toEqual(REFUSED)
      }),
      { numRuns: RUNS },
    )
  })
})

/** A priority of its own is no forgery that could be told. */
function isPlainNumber(list: string, cursor: string): boolean {
  const [state, priority, , , ...rest] = parts(cursor)
  return list.includes('/items') && ITEM_STATES.includes(state as 'done') && priority === 0 && rest.length === 0
}

test.each(['nope', UUID.slice(1), `{${UUID}}`, '%0a', '9'.repeat(10_000)])('an export refuses %s', async (after) => {
  const { status, body } = await service.call<Page>('GET', `/api/documents/export?after=${after}`)
  expect({ status, code: body.code }).toEqual(REFUSED)
})
