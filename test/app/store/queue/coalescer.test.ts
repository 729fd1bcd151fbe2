import { describe, expect, test, vi } from 'vitest'
import { Problem } from '../../../../app/errors.ts'
import { Coalescer } from '../../../../app/store/queue/coalescer.ts'

type Batch = { requests: string[]; end: (error?: Error) => void }

/** A coalescer of texts, each weighing its length, whose batches end when the test says so. */
function create(options: { maxWeight?: number; maxInFlight?: number; aloneFrom?: number } = {}) {
  const batches: Batch[] = []
  const run = (requests: string[]) =>
    new Promise<string[]>((resolve, reject) => {
      const end = (error?: Error) => (error ? reject(error) : resolve(requests.map((request) => `${request}!`)))
      batches.push({ requests, end })
    })
  const coalescer = new Coalescer({
    run,
    weigh: (request: string) => request.length,
    maxWeight: 10,
    maxInFlight: 2,
    aloneFrom: 8,
    isOwnFault: (error) => (error as Error).message === 'bad value',
    ...options,
  })
  return { coalescer, batches }
}

const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)))

describe('requests are put together', () => {
  test('those of one turn of the event loop share a batch and get their own answers', async () => {
    const { coalescer, batches } = create()
    const answers = Promise.all(['a', 'b', 'c'].map((text) => coalescer.submit('key', text)))
    await turn()
    batches[0]?.end()

    expect(await answers).toEqual(['a!', 'b!', 'c!'])
    expect(batches.map((batch) => batch.requests)).toEqual([['a', 'b', 'c']])
  })

  test('those that arrive while two batches are under way share the next one', async () => {
    const { coalescer, batches } = create()
    const answers: Promise<string>[] = []
    for (const text of ['a', 'b', 'c', 'd']) {
      answers.push(coalescer.submit('key', text))
      await turn()
    }
    expect(batches.map((batch) => batch.requests)).toEqual([['a'], ['b']])
    batches[1]?.end()
    await turn()
    expect(batches.map((batch) => batch.requests)).toEqual([['a'], ['b'], ['c', 'd']])
    for (const batch of batches) batch.end()

    expect(await Promise.all(answers)).toEqual(['a!', 'b!', 'c!', 'd!'])
  })

  test('those that waited while nobody answered share the error, and those that have just come do not', async () => {
    const { coalescer, batches } = create({ maxInFlight: 1 })
    const now = vi.spyOn(performance, 'now')
    const first = coalescer.submit('key', 'a')
    await turn()
    const patient = coalescer.submit('key', 'b')
    now.mockReturnValue(performance.now() + 5_000)
    const last = coalescer.submit('key', 'c')
    const away = new Problem('database_unavailable', 'Nobody answers.')
    batches[0]?.end(away)
    await expect(first).rejects.toBe(away)
    await expect(patient).rejects.toBe(away)
    await turn()
    batches[1]?.end()
    expect(await last).toBe('c!')
    expect(batches.map((batch) => batch.requests)).toEqual([['a'], ['c']])
    now.mockRestore()
  })

  test('a batch holds no more than its weight, in the order of arrival', async () => {
    const { coalescer, batches } = create({ maxInFlight: 1 })
    const answers = Promise.all(['aaaa', 'bbbb', 'cccc', 'd'].map((text) => coalescer.submit('key', text)))
    await turn()
    expect(batches.map((batch) => batch.requests)).toEqual([['aaaa', 'bbbb']])
    batches[0]?.end()
    await turn()
    expect(batches.map((batch) => batch.requests)).toEqual([
      ['aaaa', 'bbbb'],
      ['cccc', 'd'],
    ])
    batches[1]?.end()

    expect(await answers).toHaveLength(4)
  })

  test('a large request runs at once and alone, whatever else is under way', async () => {
    const { coalescer, batches } = create({ maxInFlight: 1 })
    const small = coalescer.submit('key', 'a')
    await turn()
    const large = [coalescer.submit('key', 'x'.repeat(8)), coalescer.submit('key', 'y'.repeat(50))]
    expect(batches.map((batch) => batch.requests.length)).toEqual([1, 1, 1])
    for (const batch of batches) batch.end()

    expect(await Promise.all([small, ...large])).toHaveLength(3)
  })

  test('requests with different keys have nothing to do with each other', async () => {
    const { coalescer, batches } = create({ maxInFlight: 1 })
    const answers = Promise.all([coalescer.submit('one', 'a'), coalescer.submit('two', 'b')])
    await turn()
    expect(batches.map((batch) => batch.requests)).toEqual([['a'], ['b']])
    for (const batch of batches) batch.end()

    expect(await answers).toEqual(['a!', 'b!'])
  })
})

describe('errors', () => {
  test('an error of the batch is that of each request, and the next batch runs', async () => {
    const { coalescer, batches } = create()
    const answers = ['a', 'b'].map((text) => coalescer.submit('key', text))
    const settled = Promise.allSettled(answers)
    await turn()
    batches[0]?.end(new Error('connection lost'))
    expect((await settled).map((one) => one.status)).toEqual(['rejected', 'rejected'])

    const next = coalescer.submit('key', 'c')
    await turn()
    batches[1]?.end()
    expect(await next).toBe('c!')
  })

  test("one request's bad value does not fail its neighbours", async () => {
    const { coalescer, batches } = create()
    const settled = Promise.allSettled(['a', 'bad', 'c'].map((text) => coalescer.submit('key', text)))
    await turn()
    batches[0]?.end(new Error('bad value'))
    for (const [index, error] of [undefined, new Error('bad value'), undefined].entries()) {
      await turn()
      batches[index + 1]?.end(error)
    }

    expect((await settled).map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(batches.map((batch) => batch.requests)).toEqual([['a', 'bad', 'c'], ['a'], ['bad'], ['c']])
  })
})
