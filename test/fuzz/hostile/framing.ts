/** What is no HTTP/1.1 request (RFC 9112): it is answered 400, and never taken for one. */
import { request } from './attack.ts'

const SMUGGLED = 'GET /livez HTTP/1.1\r\nhost: a\r\n\r\n'

export const BROKEN_REQUESTS: [name: string, bytes: Buffer][] = Object.entries({
  'two hosts': get([
    ['host', 'a'],
    ['host', 'b'],
  ]),
  'the same host twice': get([
    ['host', 'a'],
    ['host', 'a'],
  ]),
  'a host that is none': get([['host', 'a b']]),
  'no host': Buffer.from('GET /livez HTTP/1.1\r\n\r\n'),
  'HTTP/2.0': get([], 'HTTP/2.0'),
  'HTTP/1.7': get([], 'HTTP/1.7'),
  'HTTP/3': get([], 'HTTP/3'),
  'no version': Buffer.from('GET /livez\r\n\r\n'),
  'a length and chunks': request(
    {
      method: 'POST',
      target: '/api/queue',
      headers: [
        ['content-length', '5'],
        ['transfer-encoding', 'chunked'],
      ],
    },
    Buffer.from(`0\r\n\r\n${SMUGGLED}`),
  ),
  'two lengths': request(
    {
      method: 'POST',
      target: '/api/queue',
      headers: [
        ['content-length', '5'],
        ['content-length', '6'],
      ],
    },
    Buffer.from('hello!'),
  ),
  'a length that is none': request(
    { method: 'POST', target: '/api/queue', headers: [['content-length', '+5']] },
    Buffer.from('hello'),
  ),
  'chunks that are not last': request(
    { method: 'POST', target: '/api/queue', headers: [['transfer-encoding', 'chunked, gzip']] },
    Buffer.from('0\r\n\r\n'),
  ),
  'a space before the colon': Buffer.from('GET /livez HTTP/1.1\r\nhost : a\r\n\r\n'),
  'a folded header': Buffer.from('GET /livez HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n'),
  'lines that end without a return': Buffer.from('GET /livez HTTP/1.1\nhost: a\n\n'),
})

function get(headers: [string, string][], version?: string): Buffer {
  return request({ method: 'GET', target: '/livez', headers, ...(version !== undefined && { version }) })
}
