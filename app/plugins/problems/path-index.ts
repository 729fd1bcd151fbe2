/** Which methods a path has, whatever the method asked for: the router itself only answers one method at a time. */
export class PathIndex {
  readonly #patterns = new Map<string, { matcher: RegExp; methods: Set<string> }>()

  /** Notes a route; `url` may hold `:name` and end in `*`. */
  add(method: string | string[], url: string): void {
    const pattern = this.#patterns.get(url) ?? { matcher: toMatcher(url), methods: new Set() }
    for (const name of [method].flat()) pattern.methods.add(name)
    this.#patterns.set(url, pattern)
  }

  /** The methods of a request target's path, in order; none where nothing is there. A route of this very path is the only one. */
  methodsOf(target: string): string[] {
    const path = target.split(/[?#]/, 1)[0] ?? ''
    const exact = this.#patterns.get(path)
    const found = exact ? [exact] : [...this.#patterns.values()].filter(({ matcher }) => matcher.test(path))
    return [...new Set(found.flatMap(({ methods }) => [...methods]))].sort()
  }
}

function toMatcher(url: string): RegExp {
  const parts = url.split('/').map((part) => {
    if (part.startsWith(':')) return '[^/]+'
    return part === '*' ? '.*' : RegExp.escape(part)
  })
  return new RegExp(`^${parts.join('/')}$`)
}
