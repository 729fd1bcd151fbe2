import { Ajv } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'
import { Problem, type ProblemCode } from '../../errors.ts'
import type { App } from '../../schemas/app.ts'
import { PER_ITEM } from '../../schemas/envelope.ts'
import { findFaults, type Source } from './envelope-faults.ts'
import { type JsonSchema, nullDropper } from './null-dropper.ts'
import { queryReader } from './query-values.ts'
import { closeObjects } from './unknown-keys.ts'

/**
 * Ajv looks for the first error only: with all of them, one large array of wrong values would make millions. Formats are
 * documentation; the store judges texts. Unknown keys are errors, never dropped.
 */
const OPTIONS = {
  strict: false,
  allErrors: false,
  coerceTypes: false,
  useDefaults: true,
  removeAdditional: false,
  validateFormats: false,
  addUsedSchema: false,
  // The schema of schemas says more by `additionalProperties` than is read here.
  meta: false,
  validateSchema: false,
} as const

const BODY = { code: 'invalid_request', noun: 'key', whole: 'body', isText: false } as const
const PARTS: Record<string, Source & { code: ProblemCode }> = {
  querystring: { code: 'invalid_query', noun: 'query parameter', whole: 'query', isText: true },
  params: { code: 'invalid_request', noun: 'part of the path', whole: 'path', isText: true },
  headers: { code: 'invalid_request', noun: 'header', whole: 'request', isText: true },
  body: BODY,
}

/** Judges envelopes by their schemas. Texts are read as numbers and booleans in queries and paths only, never in a body. */
export function validateEnvelopes(app: App): void {
  const ajv = closeObjects(new Ajv(OPTIONS))
  const compile: FastifySchemaCompiler<JsonSchema> = ({ schema, httpPart = 'body' }) => {
    const enforced = withoutItems(schema)
    const validate = ajv.compile(enforced)
    const prepare = httpPart === 'body' ? nullDropper(enforced) : queryReader(enforced)
    return (data: unknown) => {
      prepare?.(data)
      return validate(data) ? { value: data } : { error: toProblem(enforced, data, httpPart) }
    }
  }
  app.setValidatorCompiler(compile)
  // Answers are written as they are: a serializer made from the schema would change or drop what does not fit it.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data))
}

/** A copy of a schema that lets every marked sub-schema take anything. */
function withoutItems(schema: JsonSchema): JsonSchema {
  if (Array.isArray(schema)) return schema.map((member) => withoutItems(member)) as unknown as JsonSchema
  if (typeof schema !== 'object' || schema === null) return schema
  if (schema[PER_ITEM] === true) return {}
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, withoutItems(value as JsonSchema)]))
}

function toProblem(schema: JsonSchema, data: unknown, httpPart: string): Problem {
  const { code, ...source } = PARTS[httpPart] ?? BODY
  const faults = findFaults(schema, data, source)
  const [first, ...others] = faults
  if (!first) return new Problem(code, 'The request does not have the expected form.')
  // Pointers lead into the body.
  if (httpPart !== 'body') return new Problem(code, faults.map(({ detail }) => detail).join(' '))
  const more = others.length === 0 ? '' : ` More is wrong: see errors.`
  return new Problem(code, first.detail + more, { errors: faults })
}
