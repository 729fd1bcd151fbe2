import type { TaskReport } from '../runs/task-report.ts'

/** What a probe found that the database and the given roles can do, as status lists it; `listen` where that was not refused. */
export function capabilitiesOf(report: TaskReport, { listen }: { listen: boolean }): string[] {
  const may = {
    replication: report.replication === 'allowed',
    createRoles: report.mayCreateRoles === true,
    createSchemas: report.mayCreateSchemas === true,
    superuser: report.isSuperuser === true,
    monitor: report.mayMonitor === true,
    dataChecksums: report.dataChecksums === true,
    listen,
  }
  const offered = Array.isArray(report.extensions) ? report.extensions.map((name) => `extension:${name}`) : []
  return [...Object.entries(may).flatMap(([name, isSo]) => (isSo ? [name] : [])), ...offered].sort()
}
