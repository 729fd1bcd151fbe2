/** Runs in the client's pod: reads a request as JSON from standard input and prints the answer as JSON. */
export const CLIENT_PROGRAM = `
const { readFileSync } = require('node:fs')
const { url, method, headers = {}, json, tokenFile, timeoutMs = 30000 } = JSON.parse(readFileSync(0, 'utf8'))
if (tokenFile) headers.authorization = 'Bearer ' + readFileSync(tokenFile, 'utf8').trim()
if (json !== undefined) headers['content-type'] ??= 'application/json'
const body = json === undefined ? undefined : JSON.stringify(json)
const parse = (text) => { try { return JSON.parse(text) } catch {} }
fetch(url, { method: method ?? (body ? 'POST' : 'GET'), headers, body, signal: AbortSignal.timeout(timeoutMs) })
  .then(async (answer) => {
    const text = await answer.text()
    const said = { status: answer.status, headers: Object.fromEntries(answer.headers), text, json: parse(text) }
    process.stdout.write(JSON.stringify(said))
  })
  .catch((error) => {
    const reason = String(error.cause ?? error)
    process.stdout.write(JSON.stringify({ status: 0, headers: {}, text: reason }))
  })
`
