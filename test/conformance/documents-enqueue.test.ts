import { beforeAll, describe, expect, test } from 'vitest'
import { startTestService, type TestService } from '../support/service.ts'
import { documentOf, expectProblem, queueItems, type Written, write } from './answers.ts'

let service: TestService
let count = 0

beforeAll(async () => {
  service = await startTestService()
})

const STRICT = { prefer: 'handling=strict' }
const NONE = { created: 0, duplicate: 0, stored: 0, invalid: 0, errors: [] }

function newUrl(): string {
  return `https://example.com/${++count}`
}

function newQueue(): string {
  return `queue-${++count}`
}

function post(body: object, headers: Record<string, string> = {}) {
  return service.call<Written>('POST', '/api/documents', body, headers)
}

function pop(queue: string) {
  return queueItems(service, { operation: 'pop', queue })
}

async function isStored(url: string): Promise<boolean> {
  return documentOf(service, url).then(
    () => true,
    () => false,
  )
}

describe('Prefer: handling=strict', () => {
  test('stores all where all are good', async () => {
    const answer = await post({ documents: [{ url: newUrl() }, { url: newUrl() }] }, STRICT)
    expect(answer).toMatchObject({ status: 200, body: { stored: 2, failed: 0 } })
  })

  test('stores nothing where one is bad, with an entry and its pointer for each bad one', async () => {
    const urls = Array.from({ length: 9 }, newUrl)
    const documents: object[] = urls.map((url) => ({ url }))
    documents[2] = { url: urls[2], surprise: 1 }
    documents[7] = { id: 'nope', url: urls[7] }
    const problem = expectProblem(await post({ documents }, STRICT), 422)
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(['/documents/2', '/documents/7'])
    expect(problem.errors?.[1]?.code).toBe('invalid_id')
    for (const url of urls) expect(await isStored(url)).toBe(false)
  })

  test('stores nothing where one is a conflict', async () => {
    const [url, other] = [newUrl(), newUrl()]
    await write(service, { url })
    const documents = [{ url: other }, { id: '0190a0a0-0000-7000-8000-000000000001', url }]
    const problem = expectProblem(await post({ documents }, STRICT), 422)
    expect(problem.errors).toMatchObject([{ pointer: '/documents/1', code: 'url_conflict' }])
    expect(await isStored(other)).toBe(false)
  })

  test('stores and queues nothing where one item is bad', async () => {
    const [url, queue] = [newUrl(), newQueue()]
    const enqueue = [{ queue, items: [{ id: 'good' }, { id: '' }] }]
    const problem = expectProblem(await post({ documents: [{ url }], enqueue }, STRICT), 422)
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(['/enqueue/0/items/1'])
    expect(await isStored(url)).toBe(false)
    expect(await pop(queue)).toEqual([])
  })

  test('queues nothing where one document is bad', async () => {
    const queue = newQueue()
    const answer = await post({ documents: [{ url: 'relative' }], enqueue: [{ queue, items: [{}] }] }, STRICT)
    expectProblem(answer, 422)
    expect(await pop(queue)).toEqual([])
  })

  test('without it, or with handling=lenient, the good ones are stored', async () => {
    const documents = [{ url: newUrl() }, { url: 'relative' }]
    const answer = await post({ documents }, { prefer: 'handling=lenient' })
    expect(answer).toMatchObject({ status: 200, body: { stored: 1, failed: 1 } })
  })
})

describe('enqueue', () => {
  test('puts items into queues beside the documents', async () => {
    const [one, two] = [newQueue(), newQueue()]
    const enqueue = [
      { queue: one, items: [{ id: 'a', priority: 2, payload: { n: 1 } }, {}] },
      { queue: two, items: [{ id: 'a' }] },
    ]
    const answer = await post({ documents: [{ url: newUrl() }], enqueue })
    expect(answer).toMatchObject({ status: 200, body: { stored: 1, enqueued: { ...NONE, created: 3 } } })
    expect(await pop(one)).toMatchObject([{ id: 'a', priority: 2, payload: { n: 1 } }, {}])
    expect(await pop(two)).toMatchObject([{ id: 'a' }])
  })

  test('skips with unlessStored what is stored, in the same request too', async () => {
    const [queue, before, beside, fresh] = [newQueue(), newUrl(), newUrl(), newUrl()]
    await write(service, { url: before })
    const items = [{ payload: { url: before } }, { payload: { url: beside } }, { payload: { url: fresh } }, {}]
    const answer = await post({ documents: [{ url: beside }], enqueue: [{ queue, unlessStored: true, items }] })
    expect(answer.body.enqueued).toEqual({ ...NONE, created: 2, stored: 2 })
    expect((await pop(queue)).map(({ payload }) => payload)).toEqual([{ url: fresh }, {}])
  })

  test('queues what is stored where unlessStored is false, null or absent', async () => {
    for (const unlessStored of [false, null, undefined]) {
      const [queue, url] = [newQueue(), newUrl()]
      const answer = await post({
        documents: [{ url }],
        enqueue: [{ queue, unlessStored, items: [{ payload: { url } }] }],
      })
      expect(answer.body.enqueued).toEqual({ ...NONE, created: 1 })
    }
  })

  test('counts an item once: invalid, else stored, else duplicate, else created', async () => {
    const [queue, url] = [newQueue(), newUrl()]
    await queueItems(service, { operation: 'push', queue, items: [{ id: 'old' }, { id: 'both' }] })
    const items = [
      { id: '', payload: { url } },
      { id: 'both', payload: { url } },
      { id: 'old', payload: { url: newUrl() } },
      { id: 'new', payload: { url: newUrl() } },
      { id: 'new', payload: { url: newUrl() } },
      { surprise: 1 },
    ]
    const answer = await post({ documents: [{ url }], enqueue: [{ queue, unlessStored: true, items }] })
    expect(answer.body.enqueued).toMatchObject({ invalid: 2, stored: 1, duplicate: 2, created: 1 })
    expect(answer.body.enqueued.errors.map(({ index }) => index)).toEqual([0, 5])
    expect((await pop(queue)).map(({ id }) => id)).toEqual(['old', 'both', 'new'])
  })

  test('names each invalid item, with where it stands, its id and what is wrong', async () => {
    const items = [{}, newUrl(), { id: 'mine', priority: 'high' }, { id: 'x'.repeat(2_049) }]
    const enqueue = [
      { queue: newQueue(), items: [] },
      { queue: newQueue(), items },
    ]
    const { status, body } = await post({ documents: [{ url: newUrl() }], enqueue })
    expect(status).toBe(200)
    expect(body.enqueued).toMatchObject({ created: 1, invalid: 3 })
    expect(body.enqueued.errors).toEqual([
      { enqueue: 1, index: 1, id: null, code: 'invalid_type', error: expect.stringMatching(/\.$/) },
      { enqueue: 1, index: 2, id: 'mine', code: 'invalid_type', error: expect.stringContaining('priority') },
      { enqueue: 1, index: 3, id: null, code: 'invalid_id', error: expect.stringContaining('2048 bytes') },
    ])
  })

  test('names them all, 10,000 too, however much was sent in place of each', async () => {
    const items = Array.from({ length: 10_000 }, (_, n) => ({ id: `${n}`.repeat(600), ['key'.repeat(100)]: n }))
    const { body } = await post({ documents: [{ url: newUrl() }], enqueue: [{ queue: newQueue(), items }] })
    expect(body.enqueued.errors.map(({ index }) => index)).toEqual(items.map((_, n) => n))
    const [last] = body.enqueued.errors.slice(-1)
    expect(JSON.stringify(last).length).toBeLessThan(300)
  })

  test('takes a url of any length that a document may have as an id', async () => {
    const queue = newQueue()
    const urls = [600, 2_048].map((length) => newUrl().padEnd(length, 'x'))
    const items = urls.map((url) => ({ id: url, payload: { url } }))
    const { body } = await post({ documents: [{ url: newUrl() }], enqueue: [{ queue, items }] })
    expect(body.enqueued).toEqual({ ...NONE, created: 2 })
    expect((await queueItems(service, { operation: 'pop', queue, count: 10 })).map(({ id }) => id)).toEqual(urls)
  })

  test('points at each invalid item where the request is strict', async () => {
    const [url, queue] = [newUrl(), newQueue()]
    const enqueue = [{ queue, items: [{ id: 'good' }, {}, newUrl()] }]
    const problem = expectProblem(await post({ documents: [{ url }], enqueue }, STRICT), 422)
    expect(problem.errors).toMatchObject([{ pointer: '/enqueue/0/items/2', code: 'invalid_type' }])
    expect(await isStored(url)).toBe(false)
    expect(await pop(queue)).toEqual([])
  })

  test('commits beside a bad document', async () => {
    const queue = newQueue()
    const answer = await post({
      documents: [{ url: 'relative' }, { url: newUrl() }],
      enqueue: [{ queue, items: [{}] }],
    })
    expect(answer.body).toMatchObject({ stored: 1, failed: 1, enqueued: { ...NONE, created: 1 } })
    expect(await pop(queue)).toHaveLength(1)
  })

  test.each([
    ['no queue', { items: [{}] }],
    ['a queue name that is none', { queue: '__x', items: [{}] }],
    ['an unknown key', { queue: 'a', items: [{}], surprise: 1 }],
    ['unlessStored that is text', { queue: 'a', items: [{}], unlessStored: 'yes' }],
    ['no items', { queue: 'a' }],
    ['text', 'a'],
  ])('with %s is 400 and nothing is stored', async (_what, entry) => {
    const url = newUrl()
    expectProblem(await post({ documents: [{ url }], enqueue: [entry] }), 400)
    expect(await isStored(url)).toBe(false)
  })

  test('null is the same as absent', async () => {
    expect(await post({ documents: [{ url: newUrl() }], enqueue: null })).toMatchObject({
      status: 200,
      body: { stored: 1 },
    })
  })
})
