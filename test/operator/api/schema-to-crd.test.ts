import Type from 'typebox'
import { describe, expect, test } from 'vitest'
import { group, listByKey, quantity, stringMap } from '../../../operator/api/fields.ts'
import { toStructural } from '../../../operator/api/schema-to-crd.ts'

describe('a structural schema', () => {
  test('requires what has neither a default nor is optional', () => {
    const schema = Type.Object({
      needed: Type.String(),
      filled: Type.Integer({ default: 2 }),
      left: Type.Optional(Type.Boolean()),
    })
    expect(toStructural(schema)).toEqual({
      type: 'object',
      required: ['needed'],
      properties: {
        needed: { type: 'string' },
        filled: { type: 'integer', default: 2 },
        left: { type: 'boolean' },
      },
    })
  })

  test('gives an enumeration its type', () => {
    expect(toStructural(Type.Enum(['A', 'B'], { default: 'A' }))).toEqual({
      type: 'string',
      enum: ['A', 'B'],
      default: 'A',
    })
  })

  test('says a map by additionalProperties, with its bounds', () => {
    expect(toStructural(stringMap({ description: 'Labels.' }))).toEqual({
      type: 'object',
      description: 'Labels.',
      maxProperties: 64,
      additionalProperties: { type: 'string', maxLength: 4096 },
    })
  })

  test('leaves a quantity open between number and text', () => {
    const schema = toStructural(quantity())
    expect(schema).toMatchObject({ 'x-kubernetes-int-or-string': true })
    expect(schema).not.toHaveProperty('type')
    expect('128Mi').toMatch(new RegExp(String(schema.pattern)))
    expect('128MB').not.toMatch(new RegExp(String(schema.pattern)))
  })

  test('keeps the keys of a list', () => {
    const list = listByKey(Type.Object({ name: Type.String() }), ['name'], { maxItems: 3 })
    expect(toStructural(list)).toEqual({
      type: 'array',
      maxItems: 3,
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
    })
  })

  test('fills a group that is not given', () => {
    expect(toStructural(group({ on: Type.Boolean({ default: true }) }, 'A switch.'))).toEqual({
      type: 'object',
      default: {},
      description: 'A switch.',
      properties: { on: { type: 'boolean', default: true } },
    })
  })

  test('is refused where something would be lost', () => {
    expect(() => toStructural(Type.Union([Type.String(), Type.Null()]))).toThrow('keyword anyOf')
    expect(() => toStructural(Type.Object({ at: Type.Number({ multipleOf: 2 }) }))).toThrow('keyword multipleOf')
  })
})
