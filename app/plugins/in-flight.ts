/** What is being worked on at this moment: requests, and the bytes of their bodies. */
export class InFlight {
  #requests = 0
  #bytes = 0

  get requests(): number {
    return this.#requests
  }

  get bytes(): number {
    return this.#bytes
  }

  /** A request began. Give its `end` what it took, once. */
  begin(): void {
    this.#requests += 1
  }

  /** Notes bytes of a body that are held in memory until the request ends. */
  hold(bytes: number): void {
    this.#bytes += bytes
  }

  /** A request ended, which held so many bytes. */
  end(heldBytes: number): void {
    this.#requests -= 1
    this.#bytes -= heldBytes
  }
}
