import { connect, type Socket } from 'node:net'
import { atEndOfFile } from './end-of-file.ts'

/** A connection of a client that writes what it likes, and reads or does not. It ends with the file. */
export class RawClient {
  readonly socket: Socket
  received = ''
  isClosed = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('error', () => undefined)
    this.socket.on('close', () => {
      this.isClosed = true
    })
    atEndOfFile(() => this.socket.destroy())
  }

  /** Sends the head of a request; `Host` is added where it is not among the lines. */
  static open(port: number, lines: string[]): RawClient {
    const client = new RawClient(port)
    client.read()
    client.head(lines)
    return client
  }

  head(lines: string[]): void {
    const host = lines.some((line) => /^host:/i.test(line)) ? [] : ['Host: localhost']
    this.socket.write([...lines, ...host, '', ''].join('\r\n'))
  }

  /** Reads from now on. */
  read(): void {
    this.socket.on('data', (chunk) => {
      this.received += chunk
    })
    this.socket.resume()
  }

  /** Status of the first answer, 100 included; 0 where there is none yet. */
  get status(): number {
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.received)?.[1] ?? 0)
  }
}
