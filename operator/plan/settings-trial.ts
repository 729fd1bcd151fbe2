import type { ManagedDatabase } from '../api/instance/database.ts'
import { childName } from '../api/names.ts'
import { NOTES } from '../desired/annotations.ts'
import { databaseConfigHash } from '../desired/database-config.ts'
import { settingsJob } from '../desired/settings-job.ts'
import { findChild, type Observed, type StatefulSet } from '../observed.ts'
import { jobTrouble } from './job-trouble.ts'
import { advance, isActive, type RunState } from './runs.ts'
import type { Step } from './step.ts'
import { sentenceOf } from './task-report.ts'

const TRIAL_LIMIT_MS = 120_000
const DONE: Step = { state: 'done' }

/**
 * Before a server that works is restarted with other settings, PostgreSQL is started with them in a Job, on an empty data
 * folder. Done when it did, or when nothing is at stake: a server that does not answer can only win.
 */
export function trySettings(observed: Observed, database: ManagedDatabase): Step {
  const { instance, release } = observed
  const key = databaseConfigHash(instance, database)
  const isNeeded = isAtStake(observed, key)
  if (!isNeeded && !isActive(instance.status?.runs?.settings)) return DONE
  const trial = advance(observed, {
    kind: 'settings',
    key,
    limitMs: TRIAL_LIMIT_MS,
    job: (run) => settingsJob(instance, { run, database, image: release.postgresImage }),
    transientCodes: ['failed', 'deadline'],
  })
  const { run, actions, requeueAfterMs } = trial
  const step = isNeeded ? judge(observed, key, trial) : DONE
  return { ...step, actions, requeueAfterMs, ...(run && { facts: { runs: { settings: run } } }) }
}

/** Settings that were tried once are not let through because the server happens to be away. */
function isAtStake(observed: Observed, key: string): boolean {
  const { metadata, status } = observed.instance
  const name = childName(metadata.name, 'db')
  const set = findChild<StatefulSet>(observed, { kind: 'StatefulSet', metadata: { name } })
  const has = set?.spec?.template?.metadata?.annotations?.[NOTES.configuration]
  if (has === undefined || has === key) return false
  return status?.runs?.settings?.key === key || set?.status?.readyReplicas === 1
}

function judge(observed: Observed, key: string, { state, run, report }: RunState): Step {
  // The end of a trial of settings that nobody wants any more says nothing about these.
  const isOver = run?.key === key
  if (isOver && state === 'succeeded') return DONE
  if (isOver && state === 'failed') return failed(report, run.name)
  const { state: now, why } = (run && jobTrouble(observed, run.name, 'DatabaseReachable')) ?? RUNNING
  return { state: now, why }
}

const RUNNING: Step = {
  state: 'waiting',
  why: {
    reason: 'SettingsTrialRunning',
    message:
      'PostgreSQL is started with the new settings on an empty folder; if it can, the database is restarted with them.',
  },
}

function failed(report: RunState['report'], job: string): Step {
  const said = sentenceOf(report?.error) ?? 'The trial of the new settings did not say why it failed.'
  const look = `See: kubectl logs job/${job}.`
  if (report?.code === 'bad_parameter') {
    const advice = 'The database goes on with the settings that it has. Correct spec.database.managed.parameters.'
    return { state: 'blocked', why: { reason: 'ParameterRefused', message: `${said} ${advice} ${look}` } }
  }
  const message = `${said} The database goes on with the settings that it has; it is tried again by itself. ${look}`
  return { state: 'waiting', why: { reason: 'SettingsTrialFailed', message } }
}
