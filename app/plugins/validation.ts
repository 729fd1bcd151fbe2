import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import type { FastifySchemaCompiler } from 'fastify'
import { Problem, type ProblemCode, type ProblemEntry } from '../errors.ts'
import type { App } from '../schemas/app.ts'
import { PER_ITEM } from '../schemas/envelope.ts'
import { type JsonSchema, nullDropper } from './null-dropper.ts'

/**
 * Only the first error is looked for: with all of them, one large array of wrong values would make millions. Formats are
 * documentation; the store judges texts. Unknown keys are errors, never dropped.
 */
const OPTIONS = {
  strict: false,
  allErrors: false,
  useDefaults: true,
  removeAdditional: false,
  validateFormats: false,
  addUsedSchema: false,
} as const

const PARTS: Record<string, { code: ProblemCode; noun: string }> = {
  querystring: { code: 'invalid_query', noun: 'query parameter' },
  params: { code: 'invalid_request', noun: 'part of the path' },
  headers: { code: 'invalid_request', noun: 'header' },
  body: { code: 'invalid_request', noun: 'key' },
}

/** Judges envelopes by their schemas. Texts are read as numbers and booleans in queries and paths only, never in a body. */
export function validateEnvelopes(app: App): void {
  const strict = new Ajv({ ...OPTIONS, coerceTypes: false })
  const coercing = new Ajv({ ...OPTIONS, coerceTypes: true })
  const compile: FastifySchemaCompiler<JsonSchema> = ({ schema, httpPart = 'body' }) => {
    const enforced = withoutItems(schema)
    const validate = (httpPart === 'body' ? strict : coercing).compile(enforced)
    const drop = httpPart === 'body' ? nullDropper(enforced) : undefined
    return (data: unknown) => {
      drop?.(data)
      return validate(data) ? { value: data } : { error: toProblem(validate, httpPart) }
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

function toProblem(validate: ValidateFunction, httpPart: string): Problem {
  const { code, noun } = PARTS[httpPart] ?? { code: 'invalid_request', noun: 'key' }
  const [error] = validate.errors ?? []
  if (!error) return new Problem(code, 'The request does not have the expected form.')
  const entry = toEntry(error, noun)
  if (httpPart === 'body') return new Problem(code, entry.detail, { errors: [entry] })
  return new Problem(code, entry.detail)
}

function toEntry(error: ErrorObject, noun: string): ProblemEntry {
  const { keyword, instancePath, params } = error
  const where = instancePath === '' ? 'The request' : `'${instancePath.slice(1)}'`
  if (keyword === 'additionalProperties') {
    const key = String(params.additionalProperty)
    const pointer = `${instancePath}/${escapePointer(key)}`
    return { pointer, code: 'unknown_key', detail: `The ${noun} ${shown(key)} is not known.` }
  }
  if (keyword === 'required') {
    const key = String(params.missingProperty)
    return { pointer: instancePath, code: 'missing', detail: `The ${noun} ${shown(key)} is missing.` }
  }
  const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : ''
  const code = keyword === 'type' ? 'invalid_type' : 'invalid_value'
  return { pointer: instancePath, code, detail: `${where} ${error.message ?? 'is not allowed'}${allowed}.` }
}

function escapePointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1').toWellFormed()
}

/** A caller's key as part of a sentence: quoted and short. */
function shown(key: string): string {
  return JSON.stringify((key.length > 100 ? `${key.slice(0, 100)}...` : key).toWellFormed())
}
