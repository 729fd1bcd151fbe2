import { expect, test } from 'vitest'
import type { Condition, ConditionType } from '../../../operator/api/conditions.ts'
import { mergeConditions } from '../../../operator/plan/conditions.ts'
import { checkDrift } from '../../../operator/plan/database/drift.ts'
import type { Step } from '../../../operator/plan/step.ts'
import { instanceOf, World } from './world.ts'

const [BEFORE, NOW] = ['2026-11-23T02:00:00Z', '2026-11-23T02:15:00Z']

function known(type: ConditionType): Condition {
  return { type, status: 'True', reason: 'Ready', message: '', lastTransitionTime: BEFORE, observedGeneration: 1 }
}

/** The conditions after the steps, where all of these were known. */
function after(steps: readonly Step[], types: readonly ConditionType[]): string[] {
  const instance = { ...instanceOf(), status: { observedGeneration: 1, conditions: types.map(known) } }
  return mergeConditions(instance, steps, NOW).map(({ type, status }) => `${type}=${status}`)
}

test('a condition goes when its check says that it is absent, and stays when nobody says anything of it', () => {
  expect(after([{ state: 'done', absent: ['SchemaDriftFree'] }], ['Ready', 'SchemaDriftFree'])).toEqual(['Ready=True'])
  expect(after([{ state: 'done' }], ['Ready', 'SchemaDriftFree'])).toEqual(['Ready=True', 'SchemaDriftFree=True'])
})

test('a condition that one check found is there, whatever another one says', () => {
  const found = { type: 'ApiAvailable', status: 'False', reason: 'ApiUnavailable', message: '' } as const
  const steps: Step[] = [
    { state: 'done', findings: [found] },
    { state: 'done', absent: ['ApiAvailable'] },
  ]
  expect(after(steps, ['ApiAvailable'])).toEqual(['ApiAvailable=False'])
})

test('the check of drift says that its condition is absent where nobody asks for it', () => {
  const absentWhere = (onDrift: string) =>
    checkDrift(new World(instanceOf({ migrations: { onDrift } })).observed()).absent
  expect(['Ignore', 'Alert'].map(absentWhere)).toEqual([['SchemaDriftFree'], undefined])
})
