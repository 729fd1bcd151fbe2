import { type DatabaseOptions, databaseStatefulSet } from '../../desired/database/stateful-set.ts'
import { covers, differs, stamped } from '../children/differs.ts'
import { differenceOf } from '../children/keep.ts'
import type { Observed, StatefulSet } from '../observed.ts'
import { isOwnDoing } from '../rollout.ts'
import { lastsForNow } from './certificate.ts'
import { liveDatabase, type ServedOptions, servedOptions } from './live.ts'

/** Why a server is started anew; `isOwn`: nobody asked for it and it can wait. */
export type RestartCause = { text: string; isOwn: boolean }

/**
 * Why a server with these options starts the one anew that is there; nothing where it does not. What somebody edited beside
 * the pod only comes back.
 */
export function restartCauses(observed: Observed, options: DatabaseOptions): RestartCause[] {
  const live = liveDatabase(observed)
  // Where nothing runs, or nothing is to run, nothing starts anew.
  if (live === undefined || live.spec?.replicas === 0 || options.pods === 0) return []
  const wanted = databaseStatefulSet(observed.instance, options)
  const difference = differenceOf(observed, live, stamped(wanted))
  if (difference === 'changed') return observed.rollout === 'held' ? [] : changes(observed, live, options)
  const isPodEdited = difference === 'edited' && !covers(live.spec?.template, (wanted as StatefulSet).spec?.template)
  return isPodEdited ? [{ text: 'its pod was changed by something else, which is undone', isOwn: false }] : []
}

/** The causes as part of a sentence: `its image changes from a to b and its settings change`. */
export function causesText(causes: readonly RestartCause[]): string {
  return causes.map(({ text }) => text).join(' and ')
}

function changes(observed: Observed, live: StatefulSet, options: DatabaseOptions): RestartCause[] {
  const served = servedOptions(live)
  const isOwn = isOwnDoing(observed)
  const hasOtherResources = !covers({ resources: served.resources }, { resources: options.resources })
  const causes: [isSo: boolean, text: string, isOwn: boolean][] = [
    [served.image !== options.image, `its image changes from ${served.image} to ${options.image}`, true],
    [served.configuration !== options.configuration, 'its settings change', isOwn],
    [hasOtherResources, 'its resources change', isOwn],
    [served.secretVersion !== options.secretVersion, 'its credentials change', false],
    [
      served.certificate !== options.certificate,
      'its certificate was renewed',
      lastsForNow(observed, served.certificate),
    ],
    [served.claimName !== options.claimName, `its data moves to the claim ${options.claimName}`, false],
    [isBuiltOtherwise(observed, live, { ...options, ...served }), BUILT_OTHERWISE, isOwn],
  ]
  return causes.filter(([isSo]) => isSo).map(([, text, isOwn]) => ({ text, isOwn }))
}

const BUILT_OTHERWISE = 'the spec or this version of the operator makes its pod differently'

/** Whether the same server would be made in another way now. */
function isBuiltOtherwise({ instance }: Observed, live: StatefulSet, same: DatabaseOptions & ServedOptions): boolean {
  return differs(live, stamped(databaseStatefulSet(instance, same))) === 'changed'
}
