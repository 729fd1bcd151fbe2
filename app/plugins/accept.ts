// Not @fastify/accepts: for it a caller who accepts `application/json;charset=utf-8` does not accept JSON.
/**
 * How much a caller wants something that it names in an Accept or Accept-Encoding header: 0 is not at all. `general` are the
 * wildcards that include it, the most particular first.
 */
export function weightOf(header: string, name: string, general: readonly string[] = ['*']): number {
  const weights = new Map<string, number>()
  for (const part of header.split(',')) {
    const [value = '', ...parameters] = part.split(';')
    weights.set(value.trim().toLowerCase(), quality(parameters))
  }
  for (const candidate of [name, ...general]) {
    const weight = weights.get(candidate)
    if (weight !== undefined) return weight
  }
  return 0
}

/** Whether an Accept header allows one of these media types; an absent or empty one allows all. */
export function accepts(header: string | undefined, types: readonly string[]): boolean {
  if (header === undefined || header === '' || header === '*/*') return true
  return types.some((type) => weightOf(header, type, [`${type.split('/', 1)[0]}/*`, '*/*']) > 0)
}

function quality(parameters: string[]): number {
  const given = parameters.map((parameter) => /^\s*q\s*=\s*([\d.]+)\s*$/i.exec(parameter)?.[1]).find(Boolean)
  const weight = given === undefined ? 1 : Number(given)
  return Number.isNaN(weight) ? 0 : weight
}
