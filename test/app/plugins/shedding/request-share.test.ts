import { PassThrough, type Readable } from 'node:stream'
import { createGunzip, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { FastifyRequest } from 'fastify'
import { describe, expect, test } from 'vitest'
import { ByteBudget } from '../../../../app/byte-budget.ts'
import { BodyReader } from '../../../../app/plugins/bodies/body-reader.ts'
import { InFlight } from '../../../../app/plugins/shedding/in-flight.ts'
import { RequestShare } from '../../../../app/plugins/shedding/request-share.ts'

const LIMITS = { maxBytes: 1_000, maxMs: 60_000 }

/** What a reader needs of a request. */
function requestWith(share: RequestShare, raw: PassThrough): FastifyRequest {
  return { share, raw } as unknown as FastifyRequest
}

/** How a reading ended: the length of the body, or the code of the problem. */
function outcomeOf(reading: Promise<Buffer>): Promise<number | string> {
  return reading.then(
    (body) => body.length,
    (error) => error.code,
  )
}

/** Five requests that share a budget and places, and what was asked of them. */
class Sharing {
  readonly budget = new ByteBudget(100)
  readonly places = new InFlight()
  readonly requests = [0, 1, 2, 3, 4].map(() => new RequestShare(this.budget.open()))
  asked = 0
  made = 0
  readonly #actions: Record<(typeof ACTIONS)[number], (request: RequestShare, bytes: number) => void> = {
    takePlace: (request) => request.takePlace(this.places),
    end: (request) => request.end(),
    onEnd: (request) => this.#ask(request),
    grow: ({ memory }, bytes) => memory.grow(bytes),
    tryGrow: ({ memory }, bytes) => memory.tryGrow(bytes),
    shrink: ({ memory }, bytes) => memory.shrink(bytes),
  }

  take({ who, what, bytes }: { who: number; what: (typeof ACTIONS)[number]; bytes: number }): void {
    this.#actions[what](this.requests[who] as RequestShare, bytes)
  }

  /** What those hold that have not ended. */
  expectBalance(): void {
    const living = this.requests.filter(({ hasEnded }) => !hasEnded)
    expect(this.places.requests).toBe(living.filter(({ hasPlace }) => hasPlace).length)
    expect(this.budget.heldBytes).toBe(living.reduce((sum, { memory }) => sum + memory.bytes, 0))
  }

  #ask(request: RequestShare): void {
    this.asked += 1
    request.onEnd(() => {
      this.made += 1
    })
  }
}

const ACTIONS = ['takePlace', 'end', 'onEnd', 'grow', 'tryGrow', 'shrink'] as const

test('whatever requests take in whatever order, all of it is given back when they have ended, once', () => {
  const step = fc.record({ who: fc.nat({ max: 4 }), what: fc.constantFrom(...ACTIONS), bytes: fc.nat({ max: 80 }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const sharing = new Sharing()
      for (const taken of steps) {
        sharing.take(taken)
        sharing.expectBalance()
      }
      for (const request of sharing.requests) request.end()
      expect(sharing).toMatchObject({ made: sharing.asked, places: { requests: 0 }, budget: { heldBytes: 0 } })
    }),
  )
})

/** A body that comes in pieces, gzip or not, and is read meanwhile. */
class Arrival {
  readonly budget = new ByteBudget(700)
  readonly request = new RequestShare(this.budget.open())
  readonly #raw = new PassThrough()
  readonly #isGzip: boolean
  readonly #payload: Readable
  readonly outcome: Promise<number | string>

  constructor(isGzip: boolean) {
    this.#isGzip = isGzip
    this.#raw.on('error', () => undefined)
    this.#payload = isGzip ? this.#raw.pipe(createGunzip()) : this.#raw
    this.outcome = outcomeOf(new BodyReader(requestWith(this.request, this.#raw), this.#payload, LIMITS).read())
  }

  async take({ what, bytes }: { what: (typeof PIECES)[number]; bytes: number }): Promise<void> {
    if (this.#raw.destroyed || this.#raw.writableEnded) return
    if (what === 'write') this.#raw.write(this.#isGzip ? gzipSync(Buffer.alloc(bytes)) : Buffer.alloc(bytes))
    else if (what === 'end') this.#raw.end()
    else if (what === 'leave') this.request.end()
    else if (what === 'abort') this.#raw.destroy(new Error('aborted'))
    else await new Promise((resolve) => setImmediate(resolve))
  }

  close(): void {
    this.#payload.destroy()
    this.#raw.destroy()
  }
}

const PIECES = ['write', 'turn', 'end', 'leave', 'abort'] as const

describe('reading a body', () => {
  test('holds what has come, and nothing after the end, wherever the caller goes away, gzip or not', async () => {
    const step = fc.record({ what: fc.constantFrom(...PIECES, 'write', 'turn'), bytes: fc.nat({ max: 400 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, isGzip) => {
        const arrival = new Arrival(isGzip)
        for (const taken of steps) {
          await arrival.take(taken)
          expect(arrival.budget.heldBytes).toBeLessThanOrEqual(arrival.budget.maxBytes)
        }
        arrival.request.end()
        expect(arrival.budget.heldBytes).toBe(0)
        await arrival.outcome
        await new Promise((resolve) => setImmediate(resolve))
        expect(arrival.budget.heldBytes).toBe(0)
        arrival.close()
      }),
    )
  })

  test('stops inflating when the caller goes away, also where the body has come whole', async () => {
    const budget = new ByteBudget(100_000_000)
    const request = new RequestShare(budget.open())
    const raw = new PassThrough()
    const gunzip = raw.pipe(createGunzip())
    const reader = new BodyReader(requestWith(request, raw), gunzip, { maxBytes: 50_000_000, maxMs: 60_000 })
    const outcome = outcomeOf(reader.read())
    raw.end(gzipSync(Buffer.alloc(40_000_000)))
    const { promise: begun, resolve } = Promise.withResolvers<void>()
    gunzip.once('data', () => resolve())
    await begun
    request.end()
    expect(gunzip.destroyed).toBe(true)
    expect(await outcome).toBe('malformed_body')
    expect(budget.heldBytes).toBe(0)
  })

  test('ends when it takes too long, also where nothing comes', async () => {
    const request = new RequestShare(new ByteBudget(100).open())
    const raw = new PassThrough()
    const reader = new BodyReader(requestWith(request, raw), raw, { maxBytes: 100, maxMs: 20 })
    expect(await outcomeOf(reader.read())).toBe('request_timeout')
    expect(raw.listenerCount('data')).toBe(0)
  })

  test('is turned away where there is no room beside the others', async () => {
    const budget = new ByteBudget(100)
    budget.tryHold(90)
    const request = new RequestShare(budget.open())
    const raw = new PassThrough()
    const outcome = outcomeOf(new BodyReader(requestWith(request, raw), raw, LIMITS).read())
    raw.end(Buffer.alloc(20))
    expect(await outcome).toBe('overloaded')
    expect(budget.heldBytes).toBe(90)
  })
})
