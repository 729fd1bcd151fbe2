import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hostOf } from '../../../app/store/host.ts'

describe('the host of a URL', () => {
  test.each([
    ['https://a.example/', 'a.example'],
    ['HTTPS://A.Example:443/x', 'a.example'],
    ['https://a.example:8443', 'a.example:8443'],
    ['http://a.example:80?x', 'a.example'],
    ['https://user:secret@a.example/', 'a.example'],
    ['https://bücher.example/', 'xn--bcher-kva.example'],
    ['https://1.2.3/', '1.2.0.3'],
    ['https://0x7f.1/', '127.0.0.1'],
    ['https://[::1]:9/', '[::1]:9'],
    ['ftp://A.example/', 'a.example'],
    ['odd://A.Example/', 'a.example'],
    ['mailto:a@b.example', undefined],
    ['file:///x', undefined],
    ['/relative', undefined],
    ['a.example', undefined],
    ['https://', undefined],
    ['https://a b/', undefined],
    ['https://XN--BCHER-KVA.example/', 'xn--bcher-kva.example'],
    ['', undefined],
  ])('%j is %j', (url, host) => expect(hostOf(url)).toBe(host))

  test('is the one that the URL parser finds', () => {
    const label = fc.stringMatching(/^[a-zA-Z0-9_-]{0,5}$/)
    const odd = fc.constantFrom(
      '.',
      '..',
      '%41',
      'ü',
      'xn--',
      '0x1',
      '08',
      ' ',
      '@',
      ':80',
      ':443',
      ':9',
      '\\',
      '/',
      '?',
      '#',
      '[',
    )
    const parts = fc.array(fc.oneof({ weight: 5, arbitrary: label }, odd, fc.constant('.')), { maxLength: 8 })
    const scheme = fc.constantFrom('http://', 'https://', 'HTTP://', 'ftp://', 'x://', '')
    fc.assert(
      fc.property(scheme, parts, (start, rest) => {
        const url = `${start}${rest.join('')}`
        expect(hostOf(url)).toBe(URL.parse(url)?.host.toLowerCase() || undefined)
      }),
      { numRuns: 2_000 },
    )
  })
})
