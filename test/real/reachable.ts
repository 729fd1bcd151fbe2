import type { Pages } from '../support/site.ts'

/** What a crawl from `start` must find: each path with its HTTP status. Reads links in a way of its own. */
export async function reachable(pages: Pages, start: string): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  const todo = [start]
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    if (found.has(path)) continue
    const { status = 200, body = '' } = await pages(path, 1)
    found.set(path, status)
    if (status === 200) todo.push(...linksIn(Buffer.from(body).toString(), path))
  }
  return found
}

function linksIn(html: string, path: string): string[] {
  const hrefs = [...html.matchAll(/<a\s[^>]*?\bhref="([^"#]*)[^"]*"/g)].map((match) => match[1] ?? '')
  const local = hrefs.filter((href) => href !== '' && !/^[a-z]+:/i.test(href))
  return local.map((href) => new URL(href, `http://site${path}`).pathname)
}
