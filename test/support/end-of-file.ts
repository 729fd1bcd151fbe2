const work: (() => unknown)[] = []

/** Does something when all tests of this file have run, the last registered first. It may be called anywhere in the file. */
export function atEndOfFile(task: () => unknown): void {
  work.push(task)
}

/** Does all that was registered, even where some of it fails; then throws what failed. */
export async function endFile(): Promise<void> {
  const failures: unknown[] = []
  for (let task = work.pop(); task; task = work.pop()) {
    try {
      await task()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures, failures.map(String).join('\n'))
}
