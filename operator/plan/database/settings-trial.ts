import type { ManagedDatabase } from '../../api/instance/database.ts'
import { databaseConfigHash, type TunedDatabase } from '../../desired/database/config.ts'
import type { DatabaseSettings } from '../../desired/database/stateful-set.ts'
import { CONNECTIONS_STEP } from '../../desired/database/tuning.ts'
import { settingsJob } from '../../desired/runs/settings-job.ts'
import type { Observed } from '../observed.ts'
import type { Trouble } from '../pod-trouble.ts'
import { isOwnDoing } from '../rollout.ts'
import { advance, isActive, type RunState } from '../runs/runs.ts'
import { taskImage } from '../runs/task-image.ts'
import { parseReport, sentenceOf, type TaskReport } from '../runs/task-report.ts'
import type { Step } from '../step.ts'
import { liveDatabase, servedOptions } from './live.ts'
import { waitForTurn, waitForWindow } from './restart.ts'
import type { RestartCause } from './restart-causes.ts'

/** No server that was made by the operator has more. */
const MOST_CONNECTIONS = 10_000
const DONE: Step = { state: 'done' }

/**
 * Before a server that works is restarted with other settings, PostgreSQL is started with them in a Job, on an empty data
 * folder; and the restart waits for a migration that is at work. Done when the settings may be had. A server that does not
 * answer can only win: it gets them at once, unless PostgreSQL has refused them.
 */
export function checkSettings(observed: Observed, database: TunedDatabase): Step {
  const { instance } = observed
  const key = databaseConfigHash(instance, database)
  const isWished = isAtStake(observed, key)
  const pending = isWished ? waitForWindow(observed, [causeOf(observed)]) : undefined
  const isNeeded = isWished && pending === undefined && observed.rollout !== 'held'
  if (!isNeeded && !isActive(instance.status?.runs?.settings)) return pending ?? DONE
  const trial = advance(observed, {
    kind: 'settings',
    key,
    job: (run) => settingsJob(instance, { run, database, image: taskImage(observed, 'settings') }),
    transientCodes: ['failed', 'deadline'],
  })
  const { run, actions, requeueAfterMs } = trial
  const step = isNeeded ? judge(observed, key, trial) : (pending ?? DONE)
  return { requeueAfterMs, ...step, actions, ...(run && { facts: { runs: { settings: run } } }) }
}

/** What the server that is there was made with; undefined where there is none. */
export function servedSettings(observed: Observed): DatabaseSettings | undefined {
  const live = liveDatabase(observed)
  if (live === undefined) return undefined
  const { configuration, resources } = servedOptions(live)
  return configuration === '' ? undefined : { configuration, resources }
}

/**
 * The database with as many connections as its server has, where those alone are more than is asked for: it is not restarted
 * to take them away. With anything else that restarts it, they go.
 */
export function withServedConnections(observed: Observed, database: ManagedDatabase): TunedDatabase {
  const { instance } = observed
  const served = servedSettings(observed)?.configuration
  if (served === undefined || served === databaseConfigHash(instance, database)) return database
  // The hash is all that is known of what it was started with.
  for (let least = CONNECTIONS_STEP; least <= MOST_CONNECTIONS; least += CONNECTIONS_STEP) {
    const kept = { ...database, leastConnections: least }
    if (served === databaseConfigHash(instance, kept)) return kept
  }
  return database
}

function isAtStake(observed: Observed, key: string): boolean {
  const served = servedSettings(observed)
  if (served === undefined || served.configuration === key) return false
  if (liveDatabase(observed)?.status?.readyReplicas === 1) return true
  const run = observed.instance.status?.runs?.settings
  return run?.key === key && (isActive(run) || (run.phase === 'Failed' && isRefusal(parseReport(run.message))))
}

function isRefusal(report: TaskReport | undefined): boolean {
  return report?.code === 'bad_parameter' || report?.code === 'out_of_memory'
}

function judge(observed: Observed, key: string, { state, run, report, trouble }: RunState): Step {
  // The end of a trial of settings that nobody wants any more says nothing about these.
  const isOver = run?.key === key
  if (isOver && state === 'succeeded') return restart(observed)
  if (isOver && state === 'failed') return failed(report ?? { code: 'failed' }, run.name)
  return trouble ? withoutCondition(trouble) : RUNNING
}

/** The database serves on. */
function withoutCondition({ isLasting, reason, message }: Trouble): Step {
  return { state: isLasting ? 'blocked' : 'waiting', why: { reason, message } }
}

const RUNNING: Step = {
  state: 'waiting',
  why: {
    reason: 'SettingsTrialRunning',
    message:
      'A Job tries the new settings on an empty data directory; if PostgreSQL starts, the database is restarted with them.',
  },
}

function restart(observed: Observed): Step {
  return waitForTurn(observed, [causeOf(observed)]) ?? DONE
}

function causeOf(observed: Observed): RestartCause {
  return { text: 'its settings change', isOwn: isOwnDoing(observed) }
}

const GOES_ON = 'The database keeps its old settings.'

function failed(report: TaskReport, job: string): Step {
  const said = sentenceOf(report.error) ?? 'The trial of the new settings failed without a reason.'
  if (isRefusal(report)) {
    const advice = `Correct spec.database.managed.parameters or resources. See: kubectl logs job/${job}.`
    return { state: 'blocked', why: { reason: 'ParameterRefused', message: `${said} ${GOES_ON} ${advice}` } }
  }
  const look = `The trial is retried automatically. See: kubectl describe job ${job}.`
  return { state: 'blocked', why: { reason: 'SettingsTrialFailed', message: `${said} ${GOES_ON} ${look}` } }
}
