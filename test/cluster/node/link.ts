import { run, tryRun } from '../../image/command.ts'
import { eventually } from '../../support/eventually.ts'
import type { Settings } from './settings.ts'

/** Connects the machine and the node whose first process is `pid` by a pair of interfaces. */
export async function connectNode(pid: number, { link, subnet }: Settings): Promise<void> {
  const inNode = (...args: string[]) => run('nsenter', ['--target', `${pid}`, '--net', '--', 'ip', ...args])
  await run('ip', ['link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', `${pid}`])
  await run('ip', ['address', 'add', `${subnet.host}/${subnet.prefix}`, 'dev', link])
  await run('ip', ['link', 'set', link, 'up'])
  await inNode('address', 'add', `${subnet.node}/${subnet.prefix}`, 'dev', 'eth0')
  await inNode('link', 'set', 'eth0', 'up')
  await inNode('route', 'add', 'default', 'via', subnet.host)
}

/** Removes the machine's end; the kernel does so itself a moment after the node has ended. */
export async function removeLink(link: string): Promise<void> {
  await tryRun('ip', ['link', 'delete', link])
  await eventually(async () => (await tryRun('ip', ['link', 'show', link])).code !== 0, { timeoutMs: 5_000 })
}
