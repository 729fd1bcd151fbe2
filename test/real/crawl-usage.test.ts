import { expect, test } from 'vitest'
import { findFreePort } from '../../app/embedded/free-port.ts'
import { CrawlerProcess } from './crawler-process.ts'

test('without a service it says within seconds that there is none, and how to start it', {
  timeout: 15_000,
}, async () => {
  const service = `http://127.0.0.1:${await findFreePort()}`
  const crawler = new CrawlerProcess(['http://127.0.0.1:1/', '--service', service])
  expect(await crawler.exitCode()).toBe(1)
  expect(crawler.output).toContain(`The service at ${service}/ cannot be reached: `)
  expect(crawler.output).toContain('Start it with "npm start"')
})

test.each([
  [['www.example.com'], '"www.example.com" is not a url'],
  [['http://127.0.0.1:1/', '--service', 'localhost:8003'], '"localhost:8003" is not a url'],
])('%j is told as wrong usage', async (args, message) => {
  const crawler = new CrawlerProcess(args)
  expect(await crawler.exitCode()).toBe(2)
  expect(crawler.output).toContain(message)
})
