import type { Output } from '../../image/command.ts'
import { tryKubectl } from '../kubectl.ts'
import type { KubeObject } from './objects.ts'

/** The two ways that people apply: the client merges and the server owns nothing, or the server merges by field owners. */
export const APPLY_MODES = ['client-side', 'server-side'] as const
export type ApplyMode = (typeof APPLY_MODES)[number]

/** Applies an object as a person would, and answers what kubectl said. */
export function applyAs(mode: ApplyMode, namespace: string, object: KubeObject): Promise<Output> {
  return tryKubectl(['apply', `--server-side=${mode === 'server-side'}`, '-n', namespace, '-f', '-'], {
    input: JSON.stringify(object),
  })
}
