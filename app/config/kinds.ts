/** How the text of a variable is read: what is allowed, in words, and its value or undefined where it is something else. */
export type Kind<T> = { allowed: string; parse: (text: string) => T | undefined }

const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE_UNITS = { '': 1, B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const

/** A whole number from `min` to `max`. */
export function integer(min: number, max: number): Kind<number> {
  return {
    allowed: `a whole number from ${min} to ${max}`,
    parse: (text) => (/^\d{1,15}$/.test(text) ? within(Number(text), min, max) : undefined),
  }
}

/** A duration such as `200ms`, `90s`, `10m`, `2h` or `30d`, in milliseconds. The bounds are durations as well. */
export function duration(min: string, max: string): Kind<number> {
  const [minMs, maxMs] = [parseDuration(min) ?? 0, parseDuration(max) ?? Number.MAX_SAFE_INTEGER]
  return {
    allowed: `a duration such as \`200ms\`, \`90s\` or \`10m\`, from ${min} to ${max}`,
    parse: (text) => within(parseDuration(text), minMs, maxMs),
  }
}

/** A size such as `256KiB` or `32MiB`, or a plain number of bytes. The bounds are sizes as well. */
export function size(min: string, max: string): Kind<number> {
  const [minBytes, maxBytes] = [parseSize(min) ?? 0, parseSize(max) ?? Number.MAX_SAFE_INTEGER]
  return {
    allowed: `a size such as \`256KiB\` or \`32MiB\` (a plain number: bytes), from ${min} to ${max}`,
    parse: (text) => within(parseSize(text), minBytes, maxBytes),
  }
}

/** One of a few words, in any case. */
export function oneOf<const T extends string>(...words: T[]): Kind<T> {
  return {
    allowed: words.map((word) => `\`${word}\``).join(', '),
    parse: (text) => words.find((word) => word.toLowerCase() === text.toLowerCase()),
  }
}

/** Any text that `accept` does not turn down. */
export function text(allowed: string, accept: (text: string) => boolean): Kind<string> {
  return { allowed, parse: (value) => (accept(value) ? value : undefined) }
}

/** An address whose scheme is one of `protocols` (with the colon). */
export function address(allowed: string, protocols: string[]): Kind<string> {
  return text(allowed, (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol))
}

/** A path of a file or folder. */
export function path(allowed: string): Kind<string> {
  return text(allowed, (value) => !value.includes('\0'))
}

function parseDuration(value: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(value) ?? (value === '0' ? ['0', '0', 's'] : [])
  if (amount === undefined) return undefined
  return Number(amount) * DURATION_UNITS[unit as keyof typeof DURATION_UNITS]
}

function parseSize(value: string): number | undefined {
  const [, amount, unit] = /^(\d{1,12})(|B|KiB|MiB|GiB)$/.exec(value) ?? []
  if (amount === undefined) return undefined
  return Number(amount) * SIZE_UNITS[unit as keyof typeof SIZE_UNITS]
}

function within(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined
}
