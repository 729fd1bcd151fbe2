import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { listen } from '../../../../app/listen.ts'
import { readFairly } from '../../../../app/plugins/fair-reading.ts'
import { answerClientErrors } from '../../../../app/plugins/problems/client-errors.ts'
import { atEndOfFile } from '../../../support/end-of-file.ts'

const REQUEST = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n'

test('a request whose connection goes on with something else ends soon, even if the caller neither closes nor reads', async () => {
  const begun = Promise.withResolvers<ServerResponse>()
  // It waits for something else, as a long poll does.
  const server = createServer((_request, response) => begun.resolve(response))
  readFairly(server)
  answerClientErrors(server)
  const { port } = new URL(await listen(server, '127.0.0.1', 0))
  const caller = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true })
  atEndOfFile(() => {
    caller.destroy()
    server.close()
    server.closeAllConnections()
  })
  caller.on('error', () => undefined)
  caller.write(REQUEST)
  const ended = once(await begun.promise, 'close')
  const answer = once(caller, 'data')
  caller.write('no request\r\n')
  expect(String(await answer)).toMatch(/^HTTP\/1\.1 400 /)
  await ended
}, 20_000)
