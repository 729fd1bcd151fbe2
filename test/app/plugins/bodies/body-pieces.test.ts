import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BodyPieces } from '../../../../app/plugins/bodies/body-pieces.ts'

test('however a body is cut into pieces, it comes out whole', async () => {
  const lengths = fc.array(fc.oneof(fc.nat(3), fc.integer({ min: 4_090, max: 4_100 })), { maxLength: 200, size: 'max' })
  await fc.assert(
    fc.asyncProperty(lengths, async (cut) => {
      const body = new BodyPieces()
      const pieces = cut.map((length, index) => Buffer.alloc(length, index))
      for (const piece of pieces) body.add(piece)
      const whole = Buffer.concat(pieces)
      expect((await body.whole()).equals(whole)).toBe(true)
      expect(body.length).toBe(whole.length)
    }),
  )
})

test('a body that comes byte by byte is crumbled when it is long, and one of larger pieces is not', () => {
  const [bytes, kibibytes] = [new BodyPieces(), new BodyPieces()]
  const isCrumbled = Array.from({ length: 20_000 }, () => {
    bytes.add(Buffer.from('x'))
    kibibytes.add(Buffer.alloc(1_024))
    return bytes.isCrumbled
  })
  expect(isCrumbled.indexOf(true)).toBe(16_384)
  expect(kibibytes.isCrumbled).toBe(false)
})

test('a body of one piece is not copied', async () => {
  const body = new BodyPieces()
  const piece = Buffer.from('{}')
  body.add(piece)
  expect(await body.whole()).toBe(piece)
})
