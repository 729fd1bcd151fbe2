/** What a task leaves in its pod's termination message: one line of JSON. `code` is `done` where all went well. */
export type TaskReport = { code: string; error?: string; [figure: string]: unknown }

/** Reads it; undefined where there is none, for instance because the pod was killed. */
export function parseReport(text: string | undefined): TaskReport | undefined {
  if (!text?.startsWith('{')) return undefined
  try {
    const report = JSON.parse(text) as Partial<TaskReport>
    return typeof report.code === 'string' ? { ...report, code: report.code } : undefined
  } catch {
    return undefined
  }
}

/** A text of a report, cut to what a condition can hold in one look. */
export function textOf(value: unknown, most = 600): string | undefined {
  return typeof value === 'string' && value !== '' ? value.replaceAll(/\s+/g, ' ').trim().slice(0, most) : undefined
}

/** The same, with a full stop at its end. */
export function sentenceOf(value: unknown): string | undefined {
  return textOf(value)?.replace(/[^.!?]$/, '$&.')
}
