/**
 * How server-side apply merges the fields of children, as the API server's schemas say. A place is the last two field names of
 * the way to a value, lists left out: `containers.env`.
 */

const CONTAINER = { env: ['name'], ports: ['containerPort', 'protocol'], volumeMounts: ['mountPath'] }

/** Lists whose entries have owners of their own, and the keys that tell the entries apart; any other list has one owner. */
const MERGED_LISTS: Record<string, readonly string[]> = {
  'metadata.ownerReferences': ['uid'],
  // Of a Service; the ports of a NetworkPolicy stand elsewhere, and are one.
  'spec.ports': ['port', 'protocol'],
  'spec.containers': ['name'],
  'spec.initContainers': ['name'],
  'spec.volumes': ['name'],
  'spec.imagePullSecrets': ['name'],
  'spec.topologySpreadConstraints': ['topologyKey', 'whenUnsatisfiable'],
  ...within('containers', CONTAINER),
  ...within('initContainers', CONTAINER),
}

/** Objects that have one owner, so that a field more is another object. */
const ATOMIC_OBJECTS =
  /\.(selector|podSelector|namespaceSelector|labelSelector|nodeSelector|secretKeyRef|configMapKeyRef)$/

const QUANTITIES = /^(requests|limits)\.|\.sizeLimit$/

/** The place of a field of what is at another place. */
export function placeIn(place: string, field: string): string {
  return `${place.split('.').at(-1)}.${field}`
}

/** The keys of the entries of a list there; undefined where the list is taken as a whole. */
export function mergeKeysAt(place: string): readonly string[] | undefined {
  return MERGED_LISTS[place]
}

/** Whether an object there is taken as a whole. */
export function isAtomic(place: string): boolean {
  return ATOMIC_OBJECTS.test(place)
}

/** Whether a value there is a quantity, which the API server may write in another way. */
export function isQuantityAt(place: string): boolean {
  return QUANTITIES.test(place)
}

function within(parent: string, lists: Record<string, readonly string[]>): Record<string, readonly string[]> {
  return Object.fromEntries(Object.entries(lists).map(([field, keys]) => [`${parent}.${field}`, keys]))
}
