/** The requests that the documentation shows are taken as they stand there. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startTestService } from '../support/service.ts'

type Command = { page: string; words: string[] }

const ROOT = join(import.meta.dirname, '../..')
const PAGES = ['README.md', 'docs/quickstart.md', 'docs/api/queues.md', 'docs/api/import-export.md']
const SERVICE = 'localhost:8003'

const service = await startTestService()
// Made by the crawl that the pages are about.
for (const queue of ['crawl', 'frontier']) await service.call('PUT', `/api/queues/${queue}`, {})

/** Each `curl` of a page that asks the service, as the words that a shell would make of it, without pipes and redirections. */
function commandsOf(page: string): Command[] {
  const lines = readFileSync(join(ROOT, page), 'utf8').split('\n')
  const code = lines.filter((line) => line.startsWith('    ')).map((line) => line.trim())
  const commands = code.join('\n').split(/^(?=curl )/m)
  return commands
    .filter((text) => text.startsWith('curl ') && text.includes(SERVICE))
    .map((text) => ({ page, words: wordsOf(text.replaceAll('\\\n', ' ')) }))
}

function wordsOf(text: string): string[] {
  const words: string[] = []
  for (const [word] of text.matchAll(/'[^']*'|[^\s']+|\n/g)) {
    if (word === '\n' || word === '|' || word === '>') return words
    words.push(word.replaceAll("'", ''))
  }
  return words
}

async function statusOf({ words }: Command): Promise<number> {
  const after = (option: RegExp) => words.flatMap((word, index) => (option.test(word) ? [words[index + 1] ?? ''] : []))
  const [address = ''] = words.filter((word) => word.startsWith(SERVICE))
  const headers = Object.fromEntries(after(/^-H$/).map((header) => header.split(': ')))
  const [body] = [...after(/^-d$/), ...after(/^--data-binary$/).map(() => '{"url": "https://a.example/"}\n')]
  const method = after(/^-s?X$/)[0] ?? (body === undefined ? 'GET' : 'POST')
  const { status } = await service.call(method, address.slice(SERVICE.length), body, headers)
  return status
}

test.each(PAGES.flatMap(commandsOf))('$page: $words', async (command) => {
  expect(await statusOf(command)).toBeLessThan(300)
})

test('so is the body of a request to store documents, with nothing wrong in it', async () => {
  const page = readFileSync(join(ROOT, 'docs/api/documents.md'), 'utf8')
  const [, body] = /`POST \/api\/documents` \(Write\)\s+```json\n([\s\S]+?)```/.exec(page) ?? []
  const answer = await service.call('POST', '/api/documents', JSON.parse(body ?? ''))
  expect(answer).toMatchObject({ status: 200, body: { stored: 1, failed: 0, enqueued: { created: 1, invalid: 0 } } })
})
