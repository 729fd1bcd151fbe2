import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { HTTP_PORT } from '../../app/contract.ts'
import { Client } from './kit/client.ts'
import { useNamespace } from './kit/namespace.ts'

const space = useNamespace('kit')
let client: Client
let pod: string

beforeAll(async () => {
  client = await Client.start(space)
  pod = await space.pod('app=client')
})

describe('the test kit', () => {
  test('calls from inside the cluster by name, and from this machine through a port', async () => {
    const { url } = await space.portForward(`pod/${pod}`, HTTP_PORT)
    expect(await (await fetch(url)).text()).toBe('here')
    const ip = await space.kubectl('get', 'pod', pod, '-o', 'jsonpath={.status.podIP}')
    expect(await client.fetch(`http://${ip}:${HTTP_PORT}`)).toMatchObject({ status: 200, text: 'here' })
    expect(await client.fetch('http://nowhere.invalid')).toMatchObject({
      status: 0,
      text: expect.stringContaining('ENOTFOUND'),
    })
  })

  test('runs commands and whole programs in a pod', async () => {
    expect(await space.exec(pod, ['cat'], 'told')).toBe('told')
    expect(await client.run('console.log(process.argv[2], await Promise.resolve(1))', 'one')).toBe('one 1')
    expect(await space.logs(`pod/${pod}`)).toBe('')
  })

  test('tells in which folder all is that could be known when a wait was in vain', async () => {
    const failure = await space.wait(`pod/${pod}`, { path: '{.status.phase}', value: 'Failed' }, 1).catch(String)
    const folder = /Diagnostics: (.*)$/.exec(String(failure))?.[1] ?? ''
    const files = await readdir(folder)
    expect(files).toEqual(expect.arrayContaining(['events.txt', 'objects.yaml', `log-${pod}.txt`, 'nodes.txt']))
    expect(await readFile(join(folder, 'events.txt'), 'utf8')).toContain(pod)
    await rm(folder, { recursive: true })
  })
})
