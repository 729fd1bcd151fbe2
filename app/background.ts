/** Work that goes on beside the requests. It begins at once, survives a database that is away, and ends when told to. */
export type BackgroundWork = { start(): void; stop(): Promise<void> }

/** All background work of the service, started in order and stopped together. */
export class Background {
  readonly #works: readonly BackgroundWork[]
  #isRunning = false

  constructor(works: readonly BackgroundWork[]) {
    this.#works = works
  }

  get isRunning(): boolean {
    return this.#isRunning
  }

  start(): void {
    for (const work of this.#works) work.start()
    this.#isRunning = true
  }

  async stop(): Promise<void> {
    this.#isRunning = false
    await Promise.all(this.#works.map((work) => work.stop()))
  }
}
