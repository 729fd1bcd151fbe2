import { LABELS, MANAGED_BY } from '../../operator/api/labels.ts'

/** Name of everything that belongs to the operator itself. */
export const OPERATOR = MANAGED_BY

/** The labels that select the operator's pods. */
export const OPERATOR_SELECTOR = {
  [LABELS.name]: OPERATOR,
  [LABELS.component]: 'operator',
}

/** Labels of what is installed. */
export function operatorLabels(version: string): Record<string, string> {
  return { ...OPERATOR_SELECTOR, [LABELS.partOf]: 'sonoma-storage', [LABELS.version]: version }
}
