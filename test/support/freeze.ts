import type { EmbeddedPostgres } from '../../app/embedded/embedded-postgres.ts'
import { listProcesses, signal } from '../../app/embedded/processes.ts'
import { atEndOfFile } from './end-of-file.ts'

/** A server whose processes are all stopped (SIGSTOP): its connections stand, and nobody answers on them. */
export class FrozenServer {
  readonly #pids = new Set<number>()

  constructor(server: EmbeddedPostgres) {
    const { pid: postmaster } = server
    if (postmaster === undefined) throw new Error('The server does not run.')
    // The postmaster first: from then on there are no new processes.
    for (const pid of [postmaster, ...childrenOf(postmaster)]) this.#stop(pid)
    atEndOfFile(() => this.thaw())
  }

  /** Lets all of them go on. */
  thaw(): void {
    for (const pid of this.#pids) signal(pid, 'SIGCONT')
    this.#pids.clear()
  }

  #stop(pid: number): void {
    this.#pids.add(pid)
    signal(pid, 'SIGSTOP')
  }
}

function childrenOf(postmaster: number): number[] {
  return listProcesses()
    .filter(({ parent }) => parent === postmaster)
    .map(({ pid }) => pid)
}
