import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Output, tryRun } from '../image/command.ts'
import { eventually } from '../support/eventually.ts'
import { checkDisk } from './build/disk.ts'
import { differences, lookAtMachine, type Machine } from './machine.ts'
import { findNode } from './node/node-process.ts'
import { overlaps } from './node/subnet.ts'
import { foreignKubeconfig, ROOT } from './place.ts'

const MAIN = join(import.meta.dirname, 'main.ts')

/** A second cluster beside the one that the other tests use: bare, in a folder of its own. */
let folder: string
let node: string
let before: Machine

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sonoma-second-'))
  node = join(folder, 'node')
  before = await lookAtMachine()
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

/** Fails while anything of the second cluster is left on this machine. Pods of the other cluster come and go meanwhile. */
async function expectNothingLeft(processes: string[]): Promise<void> {
  await eventually(async () => {
    const after = { ...(await lookAtMachine()), processes: before.processes, loopDevices: before.loopDevices }
    expect(differences(before, after)).toEqual([])
  })
  const { processes: running, loopDevices } = await lookAtMachine()
  expect(loopDevices.filter((line) => line.includes(folder))).toEqual([])
  expect(running.filter((line) => processes.includes(line))).toEqual([])
  expect(readdirSync(folder)).toEqual([])
  expect(await findNode(node)).toBeUndefined()
}

/** The processes of the second cluster: those that were not there before and are in another process namespace than we are. */
async function processesOfCluster(): Promise<string[]> {
  const { processes } = await lookAtMachine()
  return processes.filter((line) => !before.processes.includes(line))
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
    const processes = await processesOfCluster()
    expect(processes.length).toBeGreaterThan(7)
    expect(await cluster('down')).toMatchObject({ code: 0, stdout: expect.stringContaining('is down') })
    await expectNothingLeft(processes)
  })

  test('is recognised as unfinished after a kill -9 of up, and made anew', async () => {
    await killedAt('building the images', 'up', '--bare')
    expect(await cluster('status')).toMatchObject({ code: 1, stdout: expect.stringContaining('never finished') })
    const again = await cluster('up', '--bare')
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('was never finished: it was removed') })
  })

  test('is recognised as ended after a kill -9 of its first process, and removed even when down is killed too', async () => {
    const pid = (await findNode(node)) as number
    const processes = await processesOfCluster()
    process.kill(pid, 'SIGKILL')
    await eventually(async () => (await findNode(node)) === undefined)
    expect(await cluster('status')).toMatchObject({ code: 1, stdout: expect.stringContaining('has ended') })
    await killedAt('removing', 'down')
    expect(await cluster('down')).toMatchObject({ code: 0 })
    await expectNothingLeft(processes)
    expect(await cluster('down')).toMatchObject({ code: 0, stdout: expect.stringContaining('no cluster') })
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
