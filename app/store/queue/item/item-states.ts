/** What can have become of an item that is kept. `waiting`: can be given out now; `delayed`: later. */
export const ITEM_STATES = ['waiting', 'delayed', 'leased', 'done', 'failed'] as const
export type ItemState = (typeof ITEM_STATES)[number]

/**
 * Where the rows of a state are: each `part` is a condition that one index answers in the order of `by`. Two parts, where
 * pg-boss tells apart what was never given out and what came back.
 */
export type StateRows = { parts: string[]; by: 'start_after' | 'completed_on' }

const READY = 'NOT blocked AND start_after <= now()'
const LATER = 'NOT blocked AND start_after > now()'

/** The rows of each state. */
export const STATE_ROWS: Record<ItemState, StateRows> = {
  waiting: { parts: [`state = 'created' AND ${READY}`, `state = 'retry' AND ${READY}`], by: 'start_after' },
  delayed: { parts: [`state = 'created' AND ${LATER}`, `state = 'retry' AND ${LATER}`], by: 'start_after' },
  leased: { parts: [`state = 'active' AND NOT blocked`], by: 'start_after' },
  failed: { parts: [`state = 'failed' AND NOT blocked`], by: 'start_after' },
  done: { parts: [`state = 'completed' AND completed_on IS NOT NULL`], by: 'completed_on' },
}
