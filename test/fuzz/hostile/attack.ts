/** What an attack is: bytes for a socket, and what may be answered to them. */

/** Who attacks: somebody without a credential, or a caller of one level. */
export type Level = 'nobody' | 'Read' | 'Write' | 'Admin'

/** What the attacker does once the bytes are sent. */
export type Manner =
  /** Reads the whole answer. */
  | { kind: 'read' }
  /** Keeps the connection open, silent, until all shots of the attack are done. */
  | { kind: 'hang' }
  /** Goes away after so long. */
  | { kind: 'leave'; afterMs: number }
  /** Asks, and reads nothing of the answer until all shots are done. */
  | { kind: 'starve' }
  /** Asks, and reads a byte of the answer now and then until all shots are done. */
  | { kind: 'trickle' }
  /** Ends its own side behind the bytes, and waits until the other one has ended. */
  | { kind: 'halfClose' }

/** One connection of an attacker. `mayAnswer` is asked where the answer is read; with no answer it is given undefined. */
export type Shot = {
  name: string
  bytes: Buffer
  manner: Manner
  mayAnswer: (status: number | undefined, body: string) => boolean
}

export type Attack = {
  name: string
  as: Level
  /** Connections at the same time; default 4. */
  atOnce?: number
  /** An ordinary caller is served all the while; default true. */
  sparesOthers?: boolean
  /** CPU time that the whole of it may take. */
  maxCpuMs?: number
  /** `cursors` are some that the service gave. */
  shots: (cursors: readonly string[]) => Shot[]
}

/** A request as an attacker writes it: every header may come twice, none has to be there. */
export type Head = { method: string; target: string; headers?: [string, string][]; version?: string }

/** The bytes of a request whose body is announced with its length, unless `headers` says otherwise. */
export function request(head: Head, body: Buffer = Buffer.alloc(0)): Buffer {
  const { method, target, headers = [], version = 'HTTP/1.1' } = head
  const names = new Set(headers.map(([name]) => name))
  const hasLength = names.has('content-length') || names.has('transfer-encoding') || body.length === 0
  const all: [string, string][] = [
    ...(names.has('host') ? [] : [['host', 'localhost'] as [string, string]]),
    ...headers,
    ...(hasLength ? [] : [['content-length', String(body.length)] as [string, string]]),
  ]
  const lines = [`${method} ${target} ${version}`, ...all.map(([name, value]) => `${name}: ${value}`), '', '']
  return Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), body])
}

/** Read the answer; it may be any of these. */
export function expectOneOf(...statuses: number[]): Pick<Shot, 'manner' | 'mayAnswer'> {
  return { manner: { kind: 'read' }, mayAnswer: (status) => status !== undefined && statuses.includes(status) }
}

/** Read the answer; the fault is the caller's, or there is none. */
export const expectNoFault: Pick<Shot, 'manner' | 'mayAnswer'> = {
  manner: { kind: 'read' },
  mayAnswer: (status) => status !== undefined && status < 500,
}

/** Nothing is read. */
export function unread(manner: Manner): Pick<Shot, 'manner' | 'mayAnswer'> {
  return { manner, mayAnswer: () => true }
}
