import { describe, expect, test } from 'vitest'
import * as app from '../app/log.ts'
import * as operator from '../operator/process/log.ts'

describe.each([
  ['service', app.withoutPasswords],
  ['operator', operator.withoutPasswords],
])('the log of the %s', (_program, withoutPasswords) => {
  test.each([
    ['postgres://user:secret@db/x', 'postgres://***@db/x'],
    ['at postgres://user:sec@ret@db, and https://t0ken@b/', 'at postgres://***@db, and https://***@b/'],
    ['https://www.example.org/a@b', 'https://www.example.org/a@b'],
    ['a@b ://c@d', 'a@b ://c@d'],
  ])('blanks users and passwords: %s', (text, logged) => {
    expect(withoutPasswords(text)).toBe(logged)
  })

  test('shows no part of a password where a long text is cut', () => {
    for (let length = 8_150; length < 8_200; length += 1) {
      const logged = withoutPasswords(`${'x'.repeat(length)} postgres://user:secret@db/x`)
      expect(logged).not.toMatch(/user|secre/)
      expect(logged.length).toBeLessThan(8_210)
    }
  })

  test('goes over a long text in one pass', () => {
    const before = process.cpuUsage()
    for (const text of ['x', '@', '://', 'x://', 'x://a@', ':'].map((piece) => piece.repeat(1_000_000))) {
      withoutPasswords(text)
    }
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })
})
