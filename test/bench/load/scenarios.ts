/** Builds what a run will send before it is timed, and answers the run itself. */
import { documentAt, type Item, itemFor, pageUrl, QUEUE, scattered, uuidOf } from '../data.ts'
import { exportRun, importRun } from './bulk.ts'
import { closedLoop, eachOnce, type LoopResult, type Step } from './closed-loop.ts'
import { openConnections, requestBytes } from './connection.ts'
import { pacedPop } from './paced.ts'
import { politeRun } from './polite.ts'
import { ackRequest, popRequest, readItems, receiptsOf } from './queue-requests.ts'
import type { DocumentsSpec, LoadResult, LoadSpec, PushSpec } from './spec.ts'

/** The timed part. */
export type Run = () => Promise<LoadResult>

/** Prepares the run of a spec against the server on `port`. */
export async function prepareRun(port: number, spec: LoadSpec): Promise<Run> {
  switch (spec.kind) {
    case 'requests': {
      const requests = spec.requests.map(({ method, path, body }) => requestBytes(method, path, body))
      return loopRun(port, spec.connections, eachOnce(requests), requests.length)
    }
    case 'push':
      return loopRun(port, spec.connections, eachOnce(pushRequests(spec)), spec.amount)
    case 'documents':
      return loopRun(port, spec.connections, eachOnce(documentRequests(spec)), spec.amount)
    case 'get':
      return loopRun(port, spec.connections, eachOnce(getRequests(spec)), spec.amount)
    case 'pop-ack':
      return loopRun(port, spec.connections, popAndAck(spec.batch, spec.amount), spec.amount)
    case 'polite':
      return politeRun(port, spec)
    case 'paced-pop':
      return pacedPop(port, spec)
    case 'import':
      return importRun(port, spec.file)
    case 'export':
      return exportRun(port)
  }
}

async function loopRun(port: number, count: number, step: Step, rows: number): Promise<Run> {
  const connections = await openConnections(port, count)
  return async () => {
    const result: LoopResult = await closedLoop(connections, step)
    for (const connection of connections) connection.close()
    return { rows, ...result }
  }
}

function pushRequests(spec: PushSpec): Buffer[] {
  return batches(spec.amount, spec.batch, (indexes) => {
    const items = indexes.map((index) => itemOf(spec, spec.first + index))
    return requestBytes('POST', '/api/queue', { operation: 'push', queue: QUEUE, items })
  })
}

function itemOf({ ids }: PushSpec, index: number): Item {
  const item = itemFor(pageUrl(index), index)
  return ids === 'uuids' ? { ...item, id: uuidOf(item.id) } : item
}

function documentRequests(spec: DocumentsSpec): Buffer[] {
  const numberOf = (index: number) => (spec.scatter ? scattered(index % spec.of, spec.of) : index % spec.of)
  return batches(spec.amount, spec.batch, (indexes) => {
    const crawlOf = (index: number) => spec.crawl + Math.floor((spec.first + index) / spec.of)
    const documents = indexes.map((index) => documentAt(numberOf(spec.first + index), crawlOf(index)))
    return requestBytes('POST', '/api/documents', { documents })
  })
}

function getRequests({ ids, amount }: { ids: string[]; amount: number }): Buffer[] {
  return Array.from({ length: amount }, (_, index) =>
    requestBytes('GET', `/api/documents/${ids[scattered(index, ids.length)]}`),
  )
}

function batches(amount: number, batch: number, build: (indexes: number[]) => Buffer): Buffer[] {
  return Array.from({ length: Math.ceil(amount / batch) }, (_, number) => {
    const start = number * batch
    return build(Array.from({ length: Math.min(batch, amount - start) }, (_, offset) => start + offset))
  })
}

function popAndAck(batch: number, amount: number): Step {
  let left = amount
  const request = popRequest({ count: batch, leaseSeconds: 600 })
  return async (send) => {
    if (left <= 0) return false
    left -= batch
    const receipts = receiptsOf(readItems(await send(request)))
    if (receipts.length === 0) throw new Error('A pop found the queue empty: the run is larger than the stock.')
    left += batch - receipts.length
    await send(ackRequest(receipts))
    return true
  }
}
