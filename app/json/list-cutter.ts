import { LIMITS } from '../contract.ts'
import { JsonError } from './json-error.ts'
import { Counts, RawJson } from './raw-json.ts'

/** One of the large arrays of a body: where it is, brackets left out, and its elements. */
export type List = { start: number; end: number; elements: RawJson[] }

/** The keys at the top of a body that hold a large array. */
export const LISTS: ReadonlySet<string> = new Set(['documents', 'items'])
/** The key at the top whose entries have such an array, and its key in them. */
export const ENTRIES = 'enqueue'
export const ENTRY_LIST = 'items'
const TOP = 1
const ENTRY = 3

/** One more than any list may have, so that whoever judges it sees that it is too long. */
const MAX_ELEMENTS = 10_001
const MAX_LISTS = 2_000
const MAX_ELEMENTS_TOGETHER = 3 * MAX_ELEMENTS

/** Cuts the large arrays of a body into their elements while it is scanned. */
export class ListCutter {
  readonly lists: List[] = []
  readonly #bytes: Buffer
  #topKey = ''
  #entryKey = ''
  /** Nesting of the elements of the list that is being cut; 0 outside of any. */
  #depth = 0
  #elementStart = 0
  #elements = 0
  /** In the elements that can be read. */
  #values = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** Whether elements end at the next comma or bracket of this depth. */
  cutsAt(depth: number): boolean {
    return depth === this.#depth && depth > 0
  }

  /** Whether the keys of this depth say what is a list. */
  needsKey(depth: number): boolean {
    return this.#depth === 0 && (depth === TOP || (depth === ENTRY && this.#topKey === ENTRIES))
  }

  setKey(depth: number, key: string): void {
    if (depth === TOP) this.#topKey = key
    else this.#entryKey = key
  }

  /** Whether an array that is the value of the last key, in an object of this depth, is a list. */
  isList(depth: number): boolean {
    if (!this.needsKey(depth)) return false
    return depth === TOP ? LISTS.has(this.#topKey) : this.#entryKey === ENTRY_LIST
  }

  /** A list begins behind the bracket at this place; its elements are of this depth. */
  begin(at: number, depth: number): Counts {
    if (this.lists.length === MAX_LISTS) throw new JsonError('It has too many arrays of items.')
    this.lists.push({ start: at + 1, end: this.#bytes.length, elements: [] })
    this.#depth = depth
    this.#elementStart = at + 1
    return new Counts()
  }

  /** An element ends before this place. Answers what counts for the next one. */
  next(at: number, counts: Counts): Counts {
    if (counts.minBytes === 0) throw new JsonError('It is not JSON: an element is missing.')
    const { elements } = this.lists.at(-1) as List
    const span = [this.#elementStart, at] as const
    this.#elementStart = at + 1
    if (elements.length === MAX_ELEMENTS) return counts
    this.#elements += 1
    if (this.#elements > MAX_ELEMENTS_TOGETHER) throw new JsonError('Its arrays of items are too long.')
    this.#count(counts)
    elements.push(new RawJson(this.#bytes, span, counts))
    return new Counts()
  }

  // PostgreSQL takes half a microsecond for each value of jsonb, the service a quarter: ten million of them fit into a body.
  #count({ values }: Counts): void {
    if (values > LIMITS.jsonValues) return
    this.#values += values
    if (this.#values <= LIMITS.jsonValuesTogether) return
    throw new JsonError(`Its items have more than ${LIMITS.jsonValuesTogether} values together.`)
  }

  /** The list ends with the bracket at this place. */
  end(at: number, counts: Counts): void {
    const list = this.lists.at(-1) as List
    const isEmpty = list.elements.length === 0 && counts.minBytes === 0
    if (!isEmpty) this.next(at, counts)
    list.end = at
    this.#depth = 0
  }
}
