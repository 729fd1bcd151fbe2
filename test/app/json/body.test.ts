import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readBody } from '../../../app/json/body.ts'
import { JsonError } from '../../../app/json/json-error.ts'
import { ExactNumber, toDouble } from '../../../app/json/numbers.ts'
import { RawJson } from '../../../app/json/raw-json.ts'
import { Scanner } from '../../../app/json/scanner.ts'

/** What a body says once everything in it is read, exact numbers as doubles. */
function readAll(value: unknown): unknown {
  if (value instanceof RawJson) return readAll(value.read())
  if (value instanceof ExactNumber) return toDouble(value.source)
  if (Array.isArray(value)) return value.map(readAll)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, readAll(member)]))
}

async function outcome(read: () => unknown): Promise<{ value: unknown } | 'refused'> {
  try {
    return { value: await read() }
  } catch (error) {
    if (error instanceof JsonError || error instanceof SyntaxError) return 'refused'
    throw error
  }
}

/** Behind the value, so that the body is too large to be read as a whole. */
const PADDING = Buffer.alloc(66_000, ' ')

async function ours(text: string | Buffer) {
  const small = await outcome(async () => readAll(await readBody(Buffer.from(text))))
  const large = await outcome(async () => readAll(await readBody(Buffer.concat([Buffer.from(text), PADDING]))))
  expect(large).toEqual(small)
  return large
}

/** What a scanner finds in a text, in steps of so many bytes. */
function scanned(json: string, stepBytes: number) {
  const scanner = new Scanner(Buffer.from(json), true)
  try {
    while (scanner.advance(stepBytes));
  } catch (error) {
    if (error instanceof JsonError) return error.message
    throw error
  }
  return { facts: scanner.facts, lists: scanner.lists }
}

const STRING = /("(?:[^"\\]|\\.)*")(\s*:)?/gs

/** Whether a JSON text has the key `__proto__` anywhere, be it one that a later key of the same name replaces. */
function hasProtoKey(json: string): boolean {
  return [...json.matchAll(STRING)].some(([, key, colon]) => colon && JSON.parse(key as string) === '__proto__')
}

type Primitive = { source: string }
type SourceParse = (json: string, reviver: (key: string, value: unknown, primitive: Primitive) => unknown) => unknown

/** What JSON.parse says, but that the key `__proto__` is refused, and that no digits make an integer of what is none. */
function expected(text: string | Buffer) {
  return outcome(() => {
    const json = text.toString()
    const value = (JSON.parse as SourceParse)(json, (_, inner, { source }) =>
      typeof inner === 'number' ? toDouble(source) : inner,
    )
    if (hasProtoKey(json)) throw new JsonError('The key "__proto__" is not allowed.')
    return value
  })
}

const KEYS = [
  'documents',
  'items',
  'enqueue',
  'metadata',
  'payload',
  'a',
  'ids',
  '\\u0069tems',
  '__prot',
  '__proto__',
  '"\\',
]
const numbers = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.bigInt().map(String),
  fc.tuple(fc.bigInt(), fc.nat()).map(([whole, fraction]) => `${whole}.${fraction}`),
  fc.constantFrom('1.10', '0.0', '-0', '-0.0', '9007199254740993', '1E5', '1e-7', '1.0e+2', '5e-324', '1e400'),
)
const space = fc.constantFrom('', '', ' ', '\n\t', '\r\n  ')
const strings = fc.oneof(fc.string({ unit: 'binary' }), fc.string()).map((text) => JSON.stringify(text))
const keys = fc.oneof(
  fc.constantFrom(...KEYS).map((key) => (key.startsWith('\\') ? `"${key}"` : JSON.stringify(key))),
  strings,
)
const text = fc.letrec<{ value: string; array: string; object: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    numbers,
    strings,
    fc.constantFrom('null', 'true', 'false'),
    tie('object'),
    tie('array'),
  ),
  array: fc
    .array(
      fc.tuple(space, tie('value'), space).map((parts) => parts.join('')),
      { maxLength: 5 },
    )
    .chain((members) => space.map((blank) => `[${members.length === 0 ? blank : members.join(',')}]`)),
  object: fc
    .array(
      fc.tuple(space, keys, space, fc.constant(':'), space, tie('value')).map((parts) => parts.join('')),
      { maxLength: 5 },
    )
    .map((members) => `{${members.join(',')}}`),
})).value

describe('a body', () => {
  test('says what JSON.parse says, in whatever way it is written, but that it refuses the key __proto__', async () => {
    await fc.assert(
      fc.asyncProperty(text, async (json) => {
        expect(await ours(json)).toEqual(await expected(json))
      }),
      { numRuns: 500 },
    )
  })

  test('with bytes changed at random is read or refused as JSON.parse does', async () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...'{}[]:,"\\ 0-.ex\n')), {
      minLength: 1,
      maxLength: 3,
    })
    await fc.assert(
      fc.asyncProperty(text, changes, async (json, edits) => {
        const bytes = Buffer.from(json)
        for (const [at, character] of edits) bytes[at % bytes.length] = character.charCodeAt(0)
        const broken = bytes.toString('utf8').includes('\ufffd') && !json.includes('\ufffd')
        expect(await ours(bytes)).toEqual(broken ? 'refused' : await expected(bytes))
      }),
      { numRuns: 1_000 },
    )
  })

  test('is scanned the same in whatever steps', async () => {
    await fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (json, step) => {
        expect(scanned(json, step)).toEqual(scanned(json, Number.MAX_SAFE_INTEGER))
      }),
    )
  })

  test.for(['__proto__', '\\u005f_proto__', '_\\u005Fpr\\u006Fto_\\u005f'])(
    'with the key "%s" is refused at any depth',
    async (key) => {
      for (const around of [
        '%',
        '{"documents":[{"metadata":{"a":[%]}}]}',
        '{"items":[1,%]}',
        '{"enqueue":[{"items":[%]}]}',
      ]) {
        expect(await ours(around.replace('%', `{"${key}" : 1}`))).toBe('refused')
        expect(await ours(around.replace('%', `["${key}", "\\"${key}\\":"]`))).not.toBe('refused')
      }
    },
  )

  test.each([
    '{"documents":[ \n\t\r]}',
    '{"documents":["a":]}',
    '{"documents":[:]}',
    '{"documents":[rrr]}',
    '{"documents":[tru]}',
    '{"documents":[t"]"]}',
    '{"documents":[\u00a0]}',
    '{"documents":[,]}',
    '{"documents":[{},]}',
    '{"documents":[+1]}',
    '{"documents":[true,false,null,[true],{"a":null}]}',
  ])('%s is read or refused as JSON.parse does', async (json) => {
    expect(await ours(json)).toEqual(await expected(json))
  })

  test('has no number of 65,536 characters or more outside of its items', async () => {
    const number = (length: number) => `0.${'0'.repeat(length - 3)}1`
    const read = (text: string) => readBody(Buffer.concat([Buffer.from(text), PADDING]))
    for (const around of ['%', '[%]', '{"a":%}']) {
      await expect(read(around.replace('%', number(65_535)))).resolves.toBeDefined()
      for (const long of [number(65_536), `-${'1'.repeat(65_536)}`, `1e${'0'.repeat(65_536)}`, number(200_000)]) {
        await expect(read(around.replace('%', long))).rejects.toThrow('It has a number that is too long.')
      }
    }
    const items = (await read(`{"items":[${number(200_000)}]}`)) as { items: RawJson[] }
    expect(items.items[0]?.facts.minBytes).toBe(200_000)
  })

  test('has at most 3,000,000 values in the elements that can be read', async () => {
    const element = (values: number) => `[${'0,'.repeat(values - 2)}0]`
    const body = (...elements: string[]) => Buffer.from(`{"items":[${elements.join()}]}`)
    const most = Array(20).fill(element(150_000))
    expect(await readBody(body(...most, element(150_001)))).toMatchObject({ items: { length: 21 } })
    await expect(readBody(body(...most, '1'))).rejects.toThrow('Its items have more than 3000000 values together.')
  })

  test('may be as long as its route allows, with no more than a mebibyte outside of its items', async () => {
    const text = `{"a":"${'x'.repeat(1_100_000)}","items":[]}`
    await expect(readBody(Buffer.from(text))).rejects.toThrow('Too much of it is outside of its items.')
    expect(await readBody(Buffer.from(text), 2_000_000)).toMatchObject({ items: [] })
    const alone = Buffer.from(`"${'x'.repeat(1_100_000)}"`)
    await expect(readBody(alone)).rejects.toThrow('Too much of it is outside of its items.')
    expect(await readBody(alone, 2_000_000)).toHaveLength(1_100_000)
  })

  test('that is no UTF-8 is refused, wherever a step ends in it', async () => {
    for (const start of [0, 1, 262_143, 262_142, 300_000]) {
      const good = Buffer.from(`"${'a'.repeat(start)}\u{1f600}${'b'.repeat(70_000)}"`)
      expect(await ours(good)).toEqual(await expected(good))
      const broken = Buffer.from(good)
      broken[start + 2] = 0x41
      expect(await ours(broken)).toBe('refused')
    }
  })
})
