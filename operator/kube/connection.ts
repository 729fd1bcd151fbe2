import type { Dispatcher } from 'undici'

/** The way to one API server: its address, kept connections, and the credentials of the moment. */
export type Connection = {
  readonly server: URL
  /** Reads rotated tokens and certificates anew; the dispatcher stays the same as long as they do. */
  credentials(): Promise<{ dispatcher: Dispatcher; headers: Record<string, string> }>
  /** Closes the connections. */
  close(): Promise<void>
}
