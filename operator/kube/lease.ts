import type { KubeObject, ObjectMeta } from '../api/object.ts'
import type { BackgroundService } from '../runtime/background-service.ts'
import { type Clock, pause } from '../runtime/clock.ts'
import { hasCode } from './api-error.ts'
import type { KubeClient } from './client.ts'
import { microTime } from './micro-time.ts'
import { LEASES } from './resources.ts'

/** This process does not lead, or not any more, and must not write. */
export class LeaseLostError extends Error {
  constructor(message = 'The lease is not held: nothing may be written.') {
    super(message)
    this.name = 'LeaseLostError'
  }
}

export type LeaseSettings = {
  /** Another replica may take over when the lease was not renewed for so long. A whole number of seconds. */
  durationMs: number
  /** This replica stops writing when it has not renewed for so long: shorter, so that its last requests have landed by then. */
  renewDeadlineMs: number
  /** Time between two attempts, to get it or to renew it. */
  retryPeriodMs: number
}

export type LeaderElectorOptions = {
  /** Without a guard on its writes, with a short deadline and without retries. */
  client: KubeClient
  clock: Clock
  random: () => number
  namespace: string
  name: string
  /** Unique for each start of a process: a restarted container must not take itself for its forerunner. */
  identity: string
  settings: LeaseSettings
  onElected: () => void
  /** Called once at most: the lease ran out or was taken. The process has to end. */
  onLost: (why: string) => void
  onError?: (error: unknown) => void
}

type LeaseSpec = {
  holderIdentity?: string
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}
type Lease = KubeObject & { metadata: ObjectMeta; spec?: LeaseSpec }

/** Of the time between two renewals, after one that failed: an API server that answers every third call only must not cost the lease. */
const FAILED_PART = 1 / 4

/** Of the time between two attempts: so long a lease that was deleted is left to its holder, who makes it again. */
const HOLDER_FIRST_PERIODS = 2

/** Its rhythm: `waiting` for the lease, `leading`, and for good `lost`, or `stopped` when asked to end. */
type Phase = 'waiting' | 'leading' | 'lost' | 'stopped'

/**
 * One leader among the replicas, by a Lease, as client-go does it: the age of somebody else's lease is measured by our own
 * monotonic clock since we saw it change, so that clocks need not agree. Unlike client-go's, a replica that makes the lease
 * holds it for a whole duration before it leads: somebody may have deleted one, whose holder writes up to its end.
 */
export class LeaderElector implements BackgroundService {
  readonly name = 'leader election'
  readonly #options: LeaderElectorOptions
  readonly #abort = new AbortController()
  #phase: Phase = 'waiting'
  #running: Promise<void> | undefined
  /** Writing is allowed up to here, by the monotonic clock. */
  #heldUntilMs = 0
  /** The lease as it was last read or written. */
  #lease: Lease | undefined
  #changedAtMs = 0
  /** The known lease was deleted since. */
  #isGone = false
  /** Having made the lease, this replica leads from here on, if it holds it without a gap. */
  #mayLeadFromMs = 0

  constructor(options: LeaderElectorOptions) {
    this.#options = options
  }

  get isLeader(): boolean {
    return this.#phase === 'leading' && this.#options.clock.monotonicMs() < this.#heldUntilMs
  }

  /** Who holds the lease, as far as known. */
  get holder(): string {
    return this.#lease?.spec?.holderIdentity ?? ''
  }

  /** To be called before each write. Throws where this process does not lead; a leader whose lease ran out is told by `onLost`. */
  assertHeld(): void {
    if (this.isLeader) return
    if (this.#phase === 'leading') this.#lose('it was not renewed in time')
    throw new LeaseLostError()
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Gives the lease back, so that another replica need not wait for its end. Call it when all writers are still. */
  async stop(): Promise<void> {
    const wasLeader = this.isLeader
    this.#phase = this.#phase === 'lost' ? 'lost' : 'stopped'
    this.#abort.abort()
    await this.#running
    if (wasLeader) await this.#release()
  }

  /** One attempt to get or to renew the lease. */
  async runOnce(): Promise<void> {
    const startedAtMs = this.#options.clock.monotonicMs()
    const isHeld = await this.#tryToHold()
    if (isHeld) this.#hold(startedAtMs)
    else if (this.#phase === 'leading' && !this.#isOurs) this.#lose('another replica holds it')
  }

  async #run(): Promise<void> {
    while (this.#phase === 'waiting' || this.#phase === 'leading') {
      if (this.#phase === 'leading' && !this.isLeader) return this.#lose('it was not renewed in time')
      await this.#rest(await this.#attempt())
    }
  }

  /** Whether the API server could be asked. */
  async #attempt(): Promise<boolean> {
    try {
      await this.runOnce()
      return true
    } catch (error) {
      this.#options.onError?.(error)
      return false
    }
  }

  /** Never past the end of the lease: that has to be noticed at once. A renewal that failed is tried again sooner. */
  async #rest(wasAnswered: boolean): Promise<void> {
    const { clock, random, settings } = this.#options
    const part = wasAnswered || this.#phase !== 'leading' ? 1 : FAILED_PART
    const periodMs = settings.retryPeriodMs * part * (1 + 0.2 * random())
    const leftMs = this.#phase === 'leading' ? Math.max(0, this.#heldUntilMs - clock.monotonicMs()) : periodMs
    await pause(clock, Math.min(periodMs, leftMs), this.#abort.signal)
  }

  /** The time counts from before the request: it was in the lease's life that the answer travelled. */
  #hold(startedAtMs: number): void {
    const { settings, onElected, clock } = this.#options
    if (this.#phase !== 'waiting' && this.#phase !== 'leading') return
    if (this.#phase === 'waiting' && clock.monotonicMs() < this.#mayLeadFromMs) return
    this.#heldUntilMs = startedAtMs + settings.renewDeadlineMs
    if (this.#phase === 'leading') return
    this.#phase = 'leading'
    onElected()
  }

  #lose(why: string): void {
    if (this.#phase === 'lost') return
    this.#phase = 'lost'
    this.#abort.abort()
    this.#options.onLost(why)
  }

  /** Whether the lease is ours now. */
  async #tryToHold(): Promise<boolean> {
    // Who holds it knows the newest version: its own last write.
    if (this.#isOurs && !this.#isGone) return this.#write(this.#lease)
    const found = await this.#look()
    const mayTake = found === undefined ? this.#isLeftByHolder() : !this.#isOthers() || this.#hasRunOut()
    return mayTake && this.#write(found)
  }

  /** Reads the lease; undefined where there is none. */
  async #look(): Promise<Lease | undefined> {
    const { client, namespace, name } = this.#options
    const found = await client.get<Lease>(LEASES, namespace, name)
    if (found === undefined) this.#noteGone()
    else if (this.#isGone || found.metadata.resourceVersion !== this.#lease?.metadata.resourceVersion) this.#know(found)
    // Made by a request whose answer was lost: when it arrived is not known.
    if (found !== undefined && this.#isOurs) this.#holdFromNow()
    return found
  }

  #know(lease: Lease): void {
    this.#lease = lease
    this.#isGone = false
    this.#changedAtMs = this.#options.clock.monotonicMs()
  }

  #noteGone(): void {
    if (this.#lease === undefined || this.#isGone) return
    this.#isGone = true
    this.#changedAtMs = this.#options.clock.monotonicMs()
  }

  /** While this replica holds the lease nobody renews another one: who held one before is at its end after a duration. */
  #holdFromNow(): void {
    this.#mayLeadFromMs = this.#options.clock.monotonicMs() + this.#options.settings.durationMs
  }

  get #isOurs(): boolean {
    return this.holder === this.#options.identity
  }

  #isOthers(): boolean {
    return this.holder !== '' && !this.#isOurs
  }

  #isLeftByHolder(): boolean {
    const { clock, settings } = this.#options
    const goneForMs = clock.monotonicMs() - this.#changedAtMs
    return this.#lease === undefined || goneForMs >= HOLDER_FIRST_PERIODS * settings.retryPeriodMs
  }

  #hasRunOut(): boolean {
    const { clock, settings } = this.#options
    const seconds = this.#lease?.spec?.leaseDurationSeconds
    const durationMs = seconds === undefined ? settings.durationMs : seconds * 1_000
    return clock.monotonicMs() - this.#changedAtMs >= durationMs
  }

  /** False where somebody was faster; what they wrote is read at the next attempt. */
  async #write(lease: Lease | undefined, isFirstTry = true): Promise<boolean> {
    try {
      await this.#put(lease)
      return true
    } catch (error) {
      if (!hasCode(error, 409)) throw error
      const found = await this.#look()
      // Its version names an object that is no more, which is a conflict as well.
      if (found === undefined && lease !== undefined) return this.#writeDeleted()
      // Our own last write, whose answer was lost.
      const isOwnWrite = isFirstTry && this.#phase === 'leading' && this.#isOurs && found !== undefined
      return isOwnWrite && (await this.#write(found, false)) && this.isLeader
    }
  }

  /** Who leads makes it again. Only in its time: later another one may have led, by a lease that was deleted too. */
  async #writeDeleted(): Promise<boolean> {
    if (this.#phase === 'leading') return (await this.#write(undefined)) && this.isLeader
    this.#noteGone()
    return false
  }

  async #put(lease: Lease | undefined): Promise<void> {
    const { client, settings, namespace, name, identity } = this.#options
    const { apiVersion, kind } = LEASES
    const spec = this.#newSpec(lease?.spec, identity, settings.durationMs / 1_000)
    const options = { signal: this.#abort.signal }
    if (lease === undefined) {
      this.#know(await client.create<Lease>({ apiVersion, kind, metadata: { namespace, name }, spec }, options))
      return this.#holdFromNow()
    }
    this.#know(await client.replace<Lease>({ ...lease, apiVersion, kind, spec }, options))
    // It was at its end, or given back: nobody leads any more.
    if (lease.spec?.holderIdentity !== identity) this.#mayLeadFromMs = 0
  }

  #newSpec(before: LeaseSpec | undefined, identity: string, leaseDurationSeconds: number): LeaseSpec {
    const renewTime = microTime(this.#options.clock.now())
    const isOurs = before?.holderIdentity === identity
    return {
      holderIdentity: identity,
      leaseDurationSeconds,
      acquireTime: isOurs ? (before.acquireTime ?? renewTime) : renewTime,
      renewTime,
      leaseTransitions: (before?.leaseTransitions ?? 0) + (isOurs || before === undefined ? 0 : 1),
    }
  }

  async #release(): Promise<void> {
    const { client, onError } = this.#options
    if (this.#lease === undefined) return
    const { apiVersion, kind } = LEASES
    const spec = {
      ...this.#newSpec(this.#lease.spec, '', 1),
      leaseTransitions: this.#lease.spec?.leaseTransitions ?? 0,
    }
    try {
      await client.replace({ ...this.#lease, apiVersion, kind, spec })
    } catch (error) {
      onError?.(error)
    }
  }
}
