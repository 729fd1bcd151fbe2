import { domainToUnicode } from 'node:url'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HOST_LENGTH, hostOf, isHostTooLong, normalHost } from '../../../app/store/url-host.ts'

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
    ['http://example.org./', 'example.org'],
    ['https://Example.ORG.:8443/x', 'example.org:8443'],
    ['https://example.org.:443', 'example.org'],
    ['http://example.org../', 'example.org'],
    ['http://bücher.example./', 'xn--bcher-kva.example'],
    ['http://1.2.3.4./', '1.2.3.4'],
    ['odd://a.example./', 'a.example'],
    ['http://./', undefined],
    ['http://.:81/', undefined],
  ])('%j is %j', (url, host) => expect(hostOf(url)).toBe(host))

  test('is the one that the URL parser finds, without dots at its end', () => {
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
        const { hostname = '', port = '' } = URL.parse(url) ?? {}
        const name = hostname.toLowerCase().replace(/\.+$/, '')
        expect(hostOf(url)).toBe(name === '' ? undefined : `${name}${port && ':'}${port}`)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a host that is too long', () => {
  const long = (character: string, more = 1) => character.repeat(HOST_LENGTH + more)

  test.each([
    `https://${long('a')}/`,
    `https://${long('ü')}`,
    `https://${long('\u{20000}')}/`,
    `https://user:${long('p')}@${long('ü')}:8080/x`,
    `HTTPS:\\\\${long('ü')}\\x`,
    `http:${long('ü')}?x`,
    `ht\ttp://${long('ü')}/`,
    ` https://${long('ü')}#x`,
    `https://${long('%C3%BC')}/`,
    `https://${long('%')}/`,
    `odd://${long('ü')}/`,
    `file://${long('ü')}/`,
    `wss:///${long('ü')}`,
  ])('is found in %j', (url) => expect(isHostTooLong(url)).toBe(true))

  test.each([
    `https://${long('ü', 0)}/`,
    `https://${long('%C3%BC', 0)}:8080/`,
    `https://${long('\u{20000}', 0)}.:8080/${long('x')}`,
    `https://${long('p')}@a.example/`,
    `https://a.example?${long('ü')}`,
    `https://a.example\\${long('ü')}`,
    `https://a.example#${long('ü')}`,
    `mailto:${long('ü')}@a.example`,
    `file:///${long('ü')}`,
    `odd:///${long('ü')}`,
    `data:,${long('ü')}`,
    long('ü'),
  ])('is not found in %j', (url) => expect(isHostTooLong(url)).toBe(false))

  test('is all that the parser would find to be one', () => {
    const part = fc.oneof(
      fc.constantFrom('/', '\\', '?', '#', '@', ':', ':80', '.', '\t', ' ', '%41'),
      fc.constant('é'.repeat(130)),
    )
    const scheme = fc.constantFrom('http:', 'https://', ' ht\ntp:/', 'file://', 'odd://', 'odd:', '')
    fc.assert(
      fc.property(scheme, fc.array(part, { maxLength: 8 }), (start, parts) => {
        const url = `${start}${parts.join('')}`
        const name = (URL.parse(url)?.hostname ?? '').replace(/\.+$/, '')
        const written = start.includes('odd') ? decodeURIComponent(name) : domainToUnicode(name)
        expect(isHostTooLong(url) || written.length <= HOST_LENGTH).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('a name of a host', () => {
  test.each([
    ['Example.Org.', 'example.org'],
    ['example.org', 'example.org'],
    ['example.org.:8080', 'example.org:8080'],
    ['[::1]:9', '[::1]:9'],
    ['...', '...'],
    ['a..b', 'a..b'],
    [':.', ':'],
    ['Bücher.Example.', 'xn--bcher-kva.example'],
    ['bücher。example。', 'xn--bcher-kva.example'],
    ['bücher.example:8080', 'xn--bcher-kva.example:8080'],
    ['É pages', 'é pages'],
    ['é/a', 'é/a'],
    ['é\n', 'é\n'],
  ])('%j is looked up as %j', (name, host) => expect(normalHost(name)).toBe(host))

  test('is that of its urls, and always the same however often it is made normal', () => {
    const labels = fc.array(fc.stringMatching(/^[a-zA-Z\u00e0-\u00f6][a-zA-Z0-9\u00c0-\u00d6]{0,3}$/), {
      minLength: 1,
      maxLength: 3,
    })
    fc.assert(
      fc.property(labels, fc.constantFrom('', '.', '..'), fc.constantFrom('', ':81'), (names, dots, port) => {
        const name = `${names.join('.')}${dots}${port}`
        expect(hostOf(`http://${name}/`)).toBe(normalHost(name))
        expect(normalHost(normalHost(name))).toBe(normalHost(name))
      }),
    )
  })
})
