/** How many requests of a kind are being worked on at this moment. */
export class InFlight {
  #requests = 0

  get requests(): number {
    return this.#requests
  }

  begin(): void {
    this.#requests += 1
  }

  end(): void {
    this.#requests -= 1
  }
}
