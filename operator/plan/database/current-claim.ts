import { childName } from '../../api/names.ts'
import { CHILD_ANNOTATIONS } from '../../desired/annotations.ts'
import { type Claim, isOurs, type Observed } from '../observed.ts'

type World = Pick<Observed, 'instance' | 'children'>

/**
 * The claim with the data; a restore may have put another one in the place of the first. It is in the status, and where that is
 * lost, or the instance was made anew, the claim itself says it: the newest, if a swap was cut off.
 */
export function claimNameOf(world: World): string {
  const { metadata, status } = world.instance
  const [newest] = markedClaims(world).toSorted((a, b) => numberOf(b) - numberOf(a))
  return status?.database?.claimName ?? newest?.metadata.name ?? childName(metadata.name, 'data-1')
}

/** Claims that say that they have the data, although another one has it by now. */
export function formerClaims(world: World): Claim[] {
  return markedClaims(world).filter(({ metadata }) => metadata.name !== claimNameOf(world))
}

function markedClaims({ instance, children }: World): Claim[] {
  const claims = children.filter(({ kind }) => kind === 'PersistentVolumeClaim') as Claim[]
  return claims.filter((claim) => isOurs(instance, claim) && isMarked(claim))
}

function isMarked({ metadata }: Claim): boolean {
  return metadata.annotations?.[CHILD_ANNOTATIONS.currentData] === 'true'
}

/** What counts up: 2 of `crawl-data-2`. */
function numberOf({ metadata }: Claim): number {
  return Number(metadata.name.split('-').at(-1))
}
