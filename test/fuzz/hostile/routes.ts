/** Every operation of the interface, from its OpenAPI document alone: what is added there is attacked as well. */

/** `target` names something that is there. `keys` are those of a JSON body; `media` is what the operation reads. */
export type Route = {
  name: string
  method: string
  target: string
  access: string | undefined
  media: string | undefined
  keys: string[]
  query: string[]
}

type Schema = { properties?: Record<string, unknown>; anyOf?: Schema[] }
type Operation = {
  'x-access'?: string
  parameters?: { name: string; in: string }[]
  requestBody?: { content: Record<string, { schema: Schema }> }
}
export type OpenApi = { paths: Record<string, Record<string, Operation>> }

export function routesOf({ paths }: OpenApi, known: Record<string, string>): Route[] {
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => {
      const [media] = Object.keys(operation.requestBody?.content ?? {})
      const schema = media === undefined ? {} : (operation.requestBody?.content[media]?.schema ?? {})
      return {
        name: `${method.toUpperCase()} ${path}`,
        method: method.toUpperCase(),
        target: path.replace(/\{(\w+)\}/g, (_, name: string) => known[name] ?? 'x'),
        access: operation['x-access'],
        media,
        keys: keysOf(schema),
        query: (operation.parameters ?? []).filter((one) => one.in === 'query').map(({ name }) => name),
      }
    }),
  )
}

function keysOf({ properties = {}, anyOf = [] }: Schema): string[] {
  return [...new Set([...Object.keys(properties), ...anyOf.flatMap(keysOf)])]
}
