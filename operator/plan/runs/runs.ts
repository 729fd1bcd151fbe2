import type { RunStatus } from '../../api/instance/status.ts'
import { LABELS } from '../../api/labels.ts'
import { runName } from '../../api/names.ts'
import { type RunKind, runKind } from '../../api/run-kinds.ts'
import { CHILD_ANNOTATIONS } from '../../desired/annotations.ts'
import type { Manifest } from '../../desired/child.ts'
import type { Action } from '../action.ts'
import { stamped } from '../children/differs.ts'
import type { ContainerEnd } from '../live-objects.ts'
import type { Job, Observed, Pod } from '../observed.ts'
import type { Trouble } from '../pod-trouble.ts'
import { mayBegin } from '../turn.ts'
import { ageMs, lookAfterMs } from '../unexplained.ts'
import { containerEnd, endOf, hasSidecarAtWork, type JobEnd, podsOf, taskEnd } from './job-end.ts'
import { jobTrouble } from './job-trouble.ts'
import { parseReport, type TaskReport } from './task-report.ts'

/** A run that is to have happened: once for each key. */
export type RunNeed = {
  kind: RunKind
  key: string
  /** Its Job; the name and the deadline are those of the run. */
  job: (run: RunStatus) => Manifest
  /** Codes of a report that pass by themselves, such as a server that is away. */
  transientCodes: readonly string[]
  /** The longest wait after such an end; five minutes where it is not given. */
  mostTransientMs?: number
  /** When it is done again whatever its end was, in milliseconds since the epoch, and as which attempt. */
  again?: { atMs: number; attempt: number } | undefined
}

/** Where a run is, and what moves it on. `run` is what the status has to say from now on. */
export type RunState = {
  state: 'starting' | 'running' | 'succeeded' | 'failed' | 'queued'
  run: RunStatus | undefined
  report?: TaskReport
  /** Why its task has not begun. */
  trouble?: Trouble | undefined
  actions: Action[]
  requeueAfterMs?: number
}

// The Job's own deadline comes first; this is for a Job that nobody stops.
const DEADLINE_GRACE_MS = 30_000
// The end of a Job may be seen before the end of its pod.
const REPORT_WAIT_MS = 10_000
const RETRY_MS = { transient: { first: 5_000, most: 300_000 }, lasting: { first: 600_000, most: 21_600_000 } }
// A name has the second of its start.
const NAME_WAIT_MS = 1_000
// The end of another run is seen; this is for one that was not.
const QUEUE_LOOK_MS = 30_000

/** Moves a run on by one step. A pure function of the world: what it answers is written to status before its actions are done. */
export function advance(observed: Observed, need: RunNeed): RunState {
  const run = observed.instance.status?.runs?.[need.kind]
  if (run === undefined) return start(observed, need, 1)
  if (isActive(run)) return follow(observed, need, run)
  if (run.key !== need.key) return start(observed, need, 1)
  const againMs = need.again && need.again.atMs - observed.now.getTime()
  if (need.again && !(Number(againMs) > 0)) return start(observed, need, need.again.attempt)
  if (run.phase === 'Succeeded') return { state: 'succeeded', run, actions: [], requeueAfterMs: againMs }
  return retry(observed, need, run)
}

/** Whether a run still has to come to its end. */
export function isActive(run: RunStatus | undefined): boolean {
  return run !== undefined && run.phase !== 'Succeeded' && run.phase !== 'Failed'
}

/** Whether a run is followed until it ends, whatever else there is to do: it has begun. */
export function isUnderWay({ instance, jobs }: Observed, kind: RunNeed['kind']): boolean {
  const run = instance.status?.runs?.[kind]
  if (run === undefined || !isActive(run)) return false
  return run.phase !== 'Pending' || jobs.some(({ metadata }) => metadata.name === run.name)
}

/** Never before everything of an earlier run of the same database is gone, whatever became of its status. */
function start(observed: Observed, need: RunNeed, attempt: number): RunState {
  const former = observed.instance.status?.runs?.[need.kind]
  const startedAt = wholeSeconds(observed.now)
  const name = runName(observed.instance.metadata.name, need.kind, startedAt)
  const isNamed = name !== former?.name
  if (!isNamed || !mayBegin(observed, need.kind)) {
    return { state: 'queued', run: former, actions: [], requeueAfterMs: isNamed ? QUEUE_LOOK_MS : NAME_WAIT_MS }
  }
  const deadline = new Date(startedAt.getTime() + runKind(need.kind).limitMs)
  const run: RunStatus = {
    name,
    key: need.key,
    phase: 'Pending',
    startedAt: rfc3339(startedAt),
    deadline: rfc3339(deadline),
    attempt,
  }
  return { state: 'starting', run, actions: [] }
}

function retry(observed: Observed, need: RunNeed, run: RunStatus): RunState {
  const waitMs = Date.parse(run.retryAt ?? '') - observed.now.getTime()
  if (!(waitMs > 0)) return start(observed, need, (run.attempt ?? 1) + 1)
  return { state: 'failed', run, actions: [], requeueAfterMs: waitMs, report: parseReport(run.message) }
}

/** Removes Jobs that go on although their run is over: those that were to be stopped, and those with sidecars that never exit. */
export function leftovers({ instance, jobs, pods }: Observed): Action[] {
  const runs = Object.values(instance.status?.runs ?? {})
  const isLeft = (job: Job) => {
    const run = runs.find(({ name }) => name === job.metadata.name)
    if (run && isActive(run)) return false
    // A task that has ended soon ends its Job, which then stays to be read; a Job of no known run may only just begin.
    return taskEnd(pods, job) === undefined ? run !== undefined : hasSidecarAtWork(pods, job)
  }
  return jobs.filter((job) => endOf(job) === undefined && isLeft(job)).map(removal)
}

/** A run that has done nothing is over, and may be asked for again at once. */
export function calledOff(observed: Observed, run: RunStatus): RunStatus {
  const at = rfc3339(observed.now)
  const message = JSON.stringify({ code: 'called_off', error: 'The run was called off.' })
  return { ...run, phase: 'Failed', finishedAt: at, retryAt: at, message }
}

function follow(observed: Observed, need: RunNeed, run: RunStatus): RunState {
  const job = observed.jobs.find((one) => one.metadata.name === run.name)
  const leftMs = Date.parse(run.deadline) + DEADLINE_GRACE_MS - observed.now.getTime()
  if (job === undefined) return withoutJob(observed, need, run, leftMs)
  const end = taskEnd(observed.pods, job)
  if (end !== undefined) return finish(observed, need, run, { job, end })
  if (leftMs <= 0) {
    return fail(observed, need, run, { actions: [removal(job)], report: lateReport(run) })
  }
  const trouble = jobTrouble(observed, job)
  if (trouble && isOutdated(job, need.job(run))) return beginAnew(observed, need, run, job)
  const working = { ...withoutMessage(run), phase: 'Running' as const, ...(trouble && { message: trouble.message }) }
  const requeueAfterMs = hasBegun(observed, job) ? leftMs : Math.min(leftMs, lookAfterMs(ageMs(job, observed.now)))
  return { state: 'running', run: working, trouble, actions: [], requeueAfterMs }
}

function hasBegun({ pods }: Observed, job: Job): boolean {
  return podsOf(pods, job).some(({ status }) => status?.phase !== 'Pending')
}

/** Whether the spec would make another Job by now: with other resources, on other nodes, of another image. */
function isOutdated({ metadata }: Job, wanted: Manifest): boolean {
  const { applied } = CHILD_ANNOTATIONS
  return metadata.annotations?.[applied] !== stamped(wanted).metadata.annotations?.[applied]
}

/** A Job cannot be changed. What its task is about has not begun, so nothing is lost. */
function beginAnew(observed: Observed, need: RunNeed, run: RunStatus, job: Job): RunState {
  const report = {
    code: 'lost',
    error: 'The task had not begun, and its Job is replaced because the spec has changed.',
  }
  return fail(observed, need, run, { report, actions: [removal(job)] })
}

/** What kept a task from beginning is in the status until its run is over. */
function lateReport({ message }: RunStatus): TaskReport {
  const why = message === undefined ? '' : ` It had not begun. ${message}`
  return { code: 'deadline', error: `The run exceeded its deadline and was stopped.${why}` }
}

function withoutMessage({ message: _message, ...run }: RunStatus): RunStatus {
  return run
}

/** Before its Job was seen the run makes it; a Job that was there and is gone was deleted by somebody. */
function withoutJob(observed: Observed, need: RunNeed, run: RunStatus, leftMs: number): RunState {
  if (leftMs <= 0)
    return fail(observed, need, run, { report: { code: 'deadline', error: 'The run was not started in time.' } })
  if (run.phase !== 'Pending') {
    return fail(observed, need, run, { report: { code: 'lost', error: 'The Job of the run was deleted.' } })
  }
  if (!mayBegin(observed, need.kind)) return { state: 'queued', run, actions: [], requeueAfterMs: QUEUE_LOOK_MS }
  const actions: Action[] = [{ do: 'create', object: stamped(need.job(run)) }]
  return { state: 'running', run, actions, requeueAfterMs: leftMs }
}

type Ended = { job: Job; end: JobEnd }

function finish(observed: Observed, need: RunNeed, run: RunStatus, { job, end }: Ended): RunState {
  const report = reportOf(observed.pods, job)
  const waitMs = report === undefined ? REPORT_WAIT_MS - (observed.now.getTime() - end.at) : 0
  if (waitMs > 0 && end.reason !== 'DeadlineExceeded') {
    return { state: 'running', run: { ...run, phase: 'Running' }, actions: [], requeueAfterMs: waitMs }
  }
  // What it wrote at its end counts, even if it was killed right after; a success of which nothing was read tells too little.
  if (report?.code === 'ok') {
    const done: RunStatus = { ...withoutMessage(run), phase: 'Succeeded', finishedAt: rfc3339(observed.now) }
    return { state: 'succeeded', run: done, report, actions: prune(observed, need.kind, run) }
  }
  const fallback = end.reason === 'DeadlineExceeded' ? lateReport(run) : lostOf(observed.pods, job)
  return fail(observed, need, run, { report: report ?? fallback, actions: prune(observed, need.kind, run) })
}

type Failure = { report: TaskReport; actions?: Action[] }

function fail(observed: Observed, need: RunNeed, run: RunStatus, { report, actions = [] }: Failure): RunState {
  const isTransient = [...need.transientCodes, 'lost'].includes(report.code)
  const { first, most } = isTransient ? { ...RETRY_MS.transient, ...mostOf(need) } : RETRY_MS.lasting
  const waitMs = Math.min(most, first * 2 ** ((run.attempt ?? 1) - 1))
  const failed: RunStatus = {
    ...run,
    phase: 'Failed',
    finishedAt: rfc3339(observed.now),
    retryAt: rfc3339(new Date(observed.now.getTime() + waitMs)),
    message: JSON.stringify({ code: report.code, error: report.error ?? '' }),
  }
  return { state: 'failed', run: failed, report, actions, requeueAfterMs: waitMs }
}

function mostOf({ mostTransientMs: most }: RunNeed): { most?: number } {
  return most === undefined ? {} : { most }
}

function reportOf(pods: readonly Pod[], job: Job): TaskReport | undefined {
  const ends = podsOf(pods, job).flatMap((pod) => containerEnd(pod) ?? [])
  return ends.map((end) => parseReport(end.message)).find((report) => report !== undefined)
}

function lostOf(pods: readonly Pod[], job: Job): TaskReport {
  const own = podsOf(pods, job)
  const [end] = [...own.flatMap((pod) => containerEnd(pod) ?? []), ...own.flatMap(endsOf)]
  if (end === undefined) return { code: 'lost', error: 'The run ended without a report, and its pod no longer exists.' }
  if (end.reason === 'OOMKilled') {
    return {
      code: 'out_of_memory',
      error: 'The run was killed because it used more memory than its limit (OOMKilled).',
    }
  }
  const reason = end.reason ?? 'no reason given'
  return { code: 'lost', error: `The run ended with code ${end.exitCode} (${reason}) without a report.` }
}

/** What else ended in a pod, and so may have kept its task from beginning. */
function endsOf({ status }: Pod): ContainerEnd[] {
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])]
  return all.flatMap(({ state }) => state?.terminated ?? []).filter(({ exitCode }) => exitCode !== 0)
}

const KEPT_JOBS = 3

/** Old Jobs go, with their pods and logs; the newest few stay to be read. */
function prune({ jobs, instance }: Observed, kind: RunKind, current: RunStatus): Action[] {
  return jobs
    .filter(({ metadata }) => metadata.labels?.[LABELS.component] === kind && metadata.name !== current.name)
    .filter((job) => endOf(job) !== undefined && job.metadata.namespace === instance.metadata.namespace)
    .sort((a, b) => b.metadata.name.localeCompare(a.metadata.name))
    .slice(KEPT_JOBS - 1)
    .map(removal)
}

function removal({ apiVersion, kind, metadata }: Job): Action {
  const { name, namespace = '', uid = '' } = metadata
  return { do: 'delete', target: { apiVersion, kind, namespace, name, uid } }
}

function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1_000) * 1_000)
}

/** A time as status writes it: RFC 3339 with whole seconds. */
export function rfc3339(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}
