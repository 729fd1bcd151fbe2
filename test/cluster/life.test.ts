import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Output, tryRun } from '../image/command.ts'
import { eventually } from '../support/eventually.ts'
import { checkDisk } from './build/disk.ts'
import { differences, lookAtMachine, type Machine, startedSince, startOf, stillRunning } from './machine.ts'
import { makeControlGroups } from './node/control-groups.ts'
import { findNode } from './node/node-process.ts'
import { whyNot } from './node/requirements.ts'
import { namesOf } from './node/settings.ts'
import { freeSubnet, overlaps } from './node/subnet.ts'
import { foreignKubeconfig, ROOT } from './place.ts'

const MAIN = join(import.meta.dirname, 'main.ts')

/** A second cluster beside the one that the other tests use: bare, in a folder of its own. */
let folder: string
let node: string
let before: Machine

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sonoma-second-'))
  node = join(folder, 'node')
  before = await lookAtMachine(folder)
})

afterAll(async () => {
  await cluster('down')
  await rm(folder, { recursive: true, force: true })
})

function environment(): NodeJS.ProcessEnv {
  const { KUBECONFIG: _, ...rest } = process.env
  return { ...rest, CLUSTER_FOLDER: folder }
}

function cluster(...args: string[]): Promise<Output> {
  return tryRun(process.execPath, [MAIN, ...args], { cwd: ROOT, env: environment() })
}

/** A command that is killed as soon as it has printed `text`. */
async function killedAt(text: string, ...args: string[]): Promise<void> {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: ROOT, env: environment() })
  await new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (chunk) => String(chunk).includes(text) && resolve())
    child.once('exit', () => reject(new Error(`It ended before it said '${text}'.`)))
  })
  await kill(child)
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

/** Fails while anything of the second cluster is left on this machine. */
async function expectNothingLeft(started: string[]): Promise<void> {
  await eventually(async () => expect(differences(before, await lookAtMachine(folder))).toEqual([]))
  expect(await stillRunning(started)).toEqual([])
  expect(readdirSync(folder)).toEqual([])
  expect(await findNode(node)).toBeUndefined()
}

describe.runIf(foreignKubeconfig() === undefined)('a cluster of our own', () => {
  test('comes up, stays as it is when asked again, and leaves nothing', async () => {
    expect(await cluster('up', '--bare')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('The cluster is up'),
    })
    expect(await cluster('status')).toMatchObject({ code: 0, stdout: expect.stringContaining('Ready') })
    const pid = (await findNode(node)) as number
    expect(await cluster('up', '--bare')).toMatchObject({ code: 0 })
    expect(await findNode(node)).toBe(pid)
    const started = await startedSince(before, folder)
    expect(started.length).toBeGreaterThan(7)
    expect(await cluster('down')).toMatchObject({ code: 0, stdout: expect.stringContaining('is down') })
    await expectNothingLeft(started)
  })

  test('is recognised as unfinished after a kill -9 of up, and made anew', async () => {
    await killedAt('building the images', 'up', '--bare')
    expect(await cluster('status')).toMatchObject({ code: 1, stdout: expect.stringContaining('never finished') })
    const again = await cluster('up', '--bare')
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('was never finished: it was removed') })
  })

  test('is recognised as ended after a kill -9 of its first process, and removed even when down is killed too', async () => {
    const pid = (await findNode(node)) as number
    const started = await startedSince(before, folder)
    process.kill(pid, 'SIGKILL')
    await eventually(async () => (await findNode(node)) === undefined)
    expect(await cluster('status')).toMatchObject({ code: 1, stdout: expect.stringContaining('has ended') })
    await killedAt('removing', 'down')
    expect(await cluster('down')).toMatchObject({ code: 0 })
    await expectNothingLeft(started)
    expect(await cluster('down')).toMatchObject({ code: 0, stdout: expect.stringContaining('no cluster') })
  })

  test('whose folder was removed by hand is removed all the same', async () => {
    await makeControlGroups(namesOf(folder).cgroup)
    expect(await cluster('down')).toMatchObject({ code: 0, stdout: expect.stringContaining('is down') })
    await expectNothingLeft([])
  })

  test('is refused in one sentence that says what to do, without root', async () => {
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, MAIN, 'up']
    const { code, stderr } = await tryRun('setpriv', asNobody, { cwd: ROOT, env: environment() })
    expect({ code, lines: stderr.trim().split('\n') }).toMatchObject({
      code: 1,
      lines: [expect.stringMatching(/needs root.*set KUBECONFIG/)],
    })
  })
})

describe('what a cluster needs of the machine', () => {
  const fit = { platform: 'linux', user: 0, capabilities: 2n ** 40n - 1n }

  test('another system, another user or a lack of capabilities is said in one sentence, with what to do', () => {
    expect(whyNot(fit)).toBeUndefined()
    expect(whyNot({ ...fit, platform: 'darwin' })).toMatch(
      /^.* needs Linux, and this is darwin: .* set KUBECONFIG.*\.$/,
    )
    expect(whyNot({ ...fit, user: 1_000 })).toMatch(/^.* needs root: .* set KUBECONFIG .*\.$/)
    expect(whyNot({ ...fit, capabilities: 0n })).toMatch(/^.* needs CAP_NET_ADMIN, .*: .* set KUBECONFIG .*\.$/)
  })

  test('addresses that are all in use are said in one sentence; otherwise the first free ones are taken', () => {
    expect(freeSubnet(['192.168.0.0/16'])).toEqual({ host: '10.213.0.1', node: '10.213.0.2', prefix: 30 })
    expect(freeSubnet(['10.213.0.0/30', '10.213.1.1'])).toMatchObject({ host: '10.213.2.1' })
    expect(() => freeSubnet(['10.0.0.0/8'])).toThrow(/^No address range is free: .* set KUBECONFIG .*\.$/)
  })

  test('a process that ended while it was looked at is not one that runs', async () => {
    const [ended, running] = ['4194304  ended', `${process.pid} ${await startOf(process.pid)} runs`]
    expect(await stillRunning([ended, running])).toEqual([running])
  })

  test('too little disk is said in one sentence', async () => {
    await expect(checkDisk(tmpdir(), 1e18)).rejects.toThrow(/^Too little disk: .* are free .* set KUBECONFIG/)
    await checkDisk(tmpdir(), 1)
  })

  test('address ranges that overlap are told from those that do not', () => {
    expect(overlaps('10.213.0.0/30', '10.0.0.0/8')).toBe(true)
    expect(overlaps('10.213.0.0/30', '10.213.0.2')).toBe(true)
    expect(overlaps('10.213.0.0/30', '10.213.0.4/30')).toBe(false)
    expect(overlaps('10.213.0.0/30', '192.168.0.0/16')).toBe(false)
    expect(overlaps('10.213.0.0/30', '0.0.0.0/0')).toBe(true)
  })
})
