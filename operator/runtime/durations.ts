const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of `200ms`, `90s`, `10m`, `2h` or `30d`; undefined where the text is something else. */
export function parseDurationMs(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? []
  if (amount === undefined) return undefined
  return Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS]
}

/** The shortest such text: 90000 is `90s`, 120000 is `2m`. Parts of a millisecond are dropped. */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.trunc(ms))
  const units = Object.entries(UNIT_MS).reverse()
  const [unit, size] = units.find(([, size]) => whole >= size && whole % size === 0) ?? ['ms', 1]
  return `${whole / size}${unit}`
}
