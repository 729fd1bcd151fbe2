import Type, { type TString } from 'typebox'
import { QUEUE_NAME_PATTERN } from './patterns.ts'

/** The name of a queue, as callers may write it. */
export const QueueName: TString = queueName('Letters, digits and _ - . and the first a letter or digit.')

/** The same under another description. */
export function queueName(description: string): TString {
  return Type.String({ pattern: QUEUE_NAME_PATTERN, description })
}
