/** Attacks on the import, whose body has no limit. */
import { gzipSync } from 'node:zlib'
import { type Attack, unread } from './attack.ts'
import { importing, manyTimes } from './shots.ts'

/** Millions of lines, a few kilobytes on the wire. */
const LINES_BYTES = 2 ** 24
const MAX_CPU_MS = 20_000

/** Lines of which nothing is stored. */
const LINES: Record<string, string> = {
  'blank lines': '\n',
  'lines of spaces': ' \r\n',
  'empty documents': '{}\n',
  'lines that are no JSON': 'x\n',
  'documents with a key that is not known': '{"a":1}\n',
}

export function attacksOnImports(): Attack[] {
  return [
    {
      name: 'imports that never end',
      as: 'Write',
      atOnce: 60,
      shots: () =>
        Array.from({ length: 60 }, () => {
          const body = gzipSync(`{"url":"https://import.example/","metadata":{"a":"${'x'.repeat(8_000_000)}`)
          const headers: [string, string][] = [
            ['content-encoding', 'gzip'],
            ['content-length', String(body.length + 1)],
          ]
          return { ...importing(body, headers), ...unread({ kind: 'hang' }) }
        }),
    },
    ...Object.entries(LINES).map(
      ([name, line]): Attack => ({
        name: `imports of ${name}`,
        as: 'Write',
        atOnce: 2,
        maxCpuMs: MAX_CPU_MS,
        shots: () => [importing(manyTimes(line, LINES_BYTES)), importing(manyTimes(line, LINES_BYTES))],
      }),
    ),
  ]
}
