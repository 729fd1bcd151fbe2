const URL = 'https://www.example.org/page.html'
const PUSHED = { id: URL, priority: 5, payload: { url: URL } }
const queue = 'frontier'

/** A request of each operation, as a caller would send it; the receipt is one of the answer to a pop. */
export const QUEUE_EXAMPLES = {
  push: {
    summary: 'Push an item, its url being its id, and one for later',
    value: { operation: 'push', queue, items: [PUSHED, { id: 'later', payload: {}, delaySeconds: 60 }] },
  },
  pop: {
    summary: 'Take up to 10 items for a minute, one a host, and wait for the first one',
    value: { operation: 'pop', queue, count: 10, leaseSeconds: 60, waitSeconds: 5, polite: { perHost: 1 } },
  },
  peek: { summary: 'Look at the next 10 items', value: { operation: 'peek', queue, count: 10 } },
  ack: { summary: 'An item is done', value: { operation: 'ack', queue, items: [{ receipt: 'of the pop' }] } },
  nack: {
    summary: 'Give an item back, for five minutes from now',
    value: { operation: 'nack', queue, items: [{ receipt: 'of the pop', delaySeconds: 300, reason: 'HTTP 503' }] },
  },
  extend: {
    summary: 'Keep an item for another minute',
    value: { operation: 'extend', queue, items: [{ receipt: 'of the pop', leaseSeconds: 60 }] },
  },
} as const
