import { readFile } from 'node:fs/promises'

/** One thing that was found, with the request that shows it. */
export type Finding = { operation: string; text: string }

/** What of a run is judged. `accepted` counts the valid requests of each operation that were answered with success. */
export type Report = { findings: Finding[]; errors: string[]; tested: number; accepted: Map<string, number> }

type Check = { failure_info?: { failure: { title: string; message: string } } }
type Interaction = { request: { method: string; uri: string; body?: { $base64: string } | null } }
/** What there is none of is left out. */
type Recorder = { label: string; checks?: Record<string, Check[]>; interactions?: Record<string, Interaction> }
type Event = { ScenarioFinished?: { recorder: Recorder }; NonFatalError?: { value?: unknown } }
type Summary = {
  complete: boolean
  operations: { tested: number }
  errors: { title: string }[]
  valid_rates: Record<string, Record<string, { accepted: number }>>
}

const SHOWN_LENGTH = 1_000

/** Reads the reports `json` and `ndjson` of a run. */
export async function readReport(files: { json: string; ndjson: string }): Promise<Report> {
  const summary = JSON.parse(await readFile(files.json, 'utf8')) as Summary
  const lines = (await readFile(files.ndjson, 'utf8')).split('\n').filter((line) => line !== '')
  const events = lines.map((line) => JSON.parse(line) as Event)
  const accepted = Object.entries(summary.valid_rates).map(([operation, phases]) => {
    return [operation, Object.values(phases).reduce((sum, phase) => sum + phase.accepted, 0)] as const
  })
  return {
    findings: events.flatMap(({ ScenarioFinished }) => (ScenarioFinished ? findingsOf(ScenarioFinished.recorder) : [])),
    errors: [...summary.errors.map(({ title }) => title), ...(summary.complete ? [] : ['the run is not complete'])],
    tested: summary.operations.tested,
    accepted: new Map(accepted),
  }
}

function findingsOf({ label, checks = {}, interactions = {} }: Recorder): Finding[] {
  return Object.entries(checks).flatMap(([id, results]) =>
    results.flatMap(({ failure_info: found }) => {
      if (!found) return []
      const { title, message } = found.failure
      return { operation: label, text: `${title}: ${message}\n${shown(interactions[id])}` }
    }),
  )
}

function shown(interaction: Interaction | undefined): string {
  if (!interaction) return ''
  const { method, uri, body } = interaction.request
  const text = body ? Buffer.from(body.$base64, 'base64').toString() : ''
  return `${method} ${uri} ${text}`.slice(0, SHOWN_LENGTH)
}
