import { expect, test } from 'vitest'
import { startTestService } from '../../support/service.ts'

const service = await startTestService()
const DIGITS = ['9007199254740993', '0.1234567890123456789', '123456789012345678901234567890', '1.10']
const PAYLOAD = `{"numbers": [${DIGITS.join(', ')}]}`

/** The answer as it came: reading it would round the numbers. */
async function textOf(path: string, body?: object): Promise<string> {
  const request = body && {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  }
  return (await fetch(`${service.url}${path}`, request)).text()
}

/** A queue with one item that holds these digits, however it got there. */
async function pushDigits(queue: string): Promise<void> {
  await service.call('POST', '/api/queue', { operation: 'push', queue, items: [{ id: 'a', group: 'a.example' }] })
  await service.database?.query('UPDATE pgboss.job SET data = $2 WHERE name = $1', [queue, PAYLOAD])
}

const operations = [
  { operation: 'pop' },
  { operation: 'pop', leaseSeconds: 60 },
  { operation: 'pop', polite: { perHost: 1 } },
  { operation: 'peek' },
]

test.each(operations)('a payload comes back with all its digits: %o', async (operation) => {
  const queue = `digits-${operations.indexOf(operation)}`
  await pushDigits(queue)

  expect(await textOf('/api/queue', { ...operation, queue })).toContain(`"payload":${PAYLOAD}`)
})

test('also where it is browsed, and after it was a dead letter', async () => {
  const path = '/api/queues/digits'
  await service.call('PUT', path, { retryLimit: 0, deadLetter: 'letters' })
  await pushDigits('digits')
  expect(await textOf(`${path}/items`)).toContain(`"payload":${PAYLOAD}`)

  const popped = await service.call<{ items: { receipt: string }[] }>('POST', '/api/queue', {
    operation: 'pop',
    queue: 'digits',
    leaseSeconds: 60,
  })
  const receipt = popped.body.items[0]?.receipt
  await service.call('POST', '/api/queue', { operation: 'nack', queue: 'digits', items: [{ receipt }] })
  expect(await textOf('/api/queues/letters/items')).toContain(`"payload":${PAYLOAD}`)

  expect((await service.call('POST', `${path}/redrive`)).body).toMatchObject({ redriven: 1 })
  expect(await textOf(`${path}/items`)).toContain(`"payload":${PAYLOAD}`)
})
