/** What the documents should be after any sequence of writes, patches and deletes: as simple as it can be said. */

/** A document as the laws send it; `content` is one key of its metadata, `crawled` a second. */
export type SentDocument = {
  id: string | null
  url: string
  status: string | null
  crawled: number
  content: number
}

export type ModelDocument = {
  id: string | null
  status: string | null
  crawled: number
  content: number
  moves: number
}

type Member = SentDocument & { index: number }

export type ModelOutcome = {
  inserted: number
  updated: number
  unchanged: number
  stale: number
  duplicate: number
  errors: Map<number, string>
}

export class Model {
  /** By url; an id of null is one that the service made. */
  readonly documents = new Map<string, ModelDocument>()

  write(sent: SentDocument[]): ModelOutcome {
    const outcome = { inserted: 0, updated: 0, unchanged: 0, stale: 0, duplicate: 0, errors: new Map<number, string>() }
    let pending = this.#firstClaims(groups(sent))
    let waiting = groups(sent).filter((group) => !pending.some((other) => other[0]?.url === group[0]?.url))
    while (pending.length > 0 || waiting.length > 0) {
      const again = pending.toSorted(byUrl).flatMap((group) => this.#settle(group, outcome))
      pending = [...again, ...waiting]
      waiting = []
    }
    return outcome
  }

  patch(url: string, change: Partial<Pick<ModelDocument, 'status' | 'crawled' | 'content'>>): void {
    const before = this.documents.get(url) as ModelDocument
    const after = { ...before, ...change }
    if (after.status !== before.status || after.content !== before.content) after.moves += 1
    this.documents.set(url, after)
  }

  /** Of several groups that claim the same id, the one whose newest member was sent first. */
  #firstClaims(all: Member[][]): Member[][] {
    const claimed = new Set<string | null>()
    const inOrderOfArrival = all.toSorted(([a], [b]) => (a?.index ?? 0) - (b?.index ?? 0))
    return inOrderOfArrival.filter((group) => {
      const id = claimOf(group)
      if (id !== null && claimed.has(id)) return false
      claimed.add(id)
      return true
    })
  }

  /** Answers what of the group is left to be written. */
  #settle(group: Member[], outcome: ModelOutcome): Member[][] {
    const [newest] = group as [Member]
    const claim = claimOf(group)
    const stored = this.documents.get(newest.url)
    const refuse = (code: string, isRefused: (member: Member) => boolean) => {
      for (const member of group.filter(isRefused)) outcome.errors.set(member.index, code)
      const rest = group.filter((member) => !isRefused(member))
      return rest.length === 0 ? [] : [rest]
    }
    if (stored !== undefined && claim !== null && claim !== stored.id) {
      return refuse('url_conflict', (member) => member.id !== null && member.id !== stored.id)
    }
    if (stored === undefined && claim !== null && this.#hasId(claim)) {
      return refuse('id_conflict', (member) => member.id === claim)
    }
    this.#store(newest, claim, outcome)
    for (const member of group.slice(1)) {
      if (member.id === null || member.id === claim) outcome.duplicate += 1
      else outcome.errors.set(member.index, 'url_conflict')
    }
    return []
  }

  #store({ url, status, crawled, content }: Member, id: string | null, outcome: ModelOutcome): void {
    const stored = this.documents.get(url)
    if (stored === undefined) {
      this.documents.set(url, { id, status, crawled, content, moves: 0 })
      outcome.inserted += 1
      return
    }
    if (content === stored.content && (status === null || status === stored.status)) {
      stored.crawled = Math.max(stored.crawled, crawled)
      outcome.unchanged += 1
    } else if (crawled < stored.crawled) {
      outcome.stale += 1
    } else {
      Object.assign(stored, { status: status ?? stored.status, crawled, content, moves: stored.moves + 1 })
      outcome.updated += 1
    }
  }

  #hasId(id: string): boolean {
    return [...this.documents.values()].some((document) => document.id === id)
  }
}

/** The documents of each url, newest first, the later one first where they tie. */
function groups(sent: SentDocument[]): Member[][] {
  const members = sent.map((document, index) => ({ ...document, index }))
  return [...Map.groupBy(members, ({ url }) => url).values()].map((group) =>
    group.toSorted((a, b) => b.crawled - a.crawled || b.index - a.index),
  )
}

function claimOf(group: Member[]): string | null {
  return group.find(({ id }) => id !== null)?.id ?? null
}

function byUrl([a]: Member[], [b]: Member[]): number {
  return (a?.url ?? '') < (b?.url ?? '') ? -1 : 1
}
