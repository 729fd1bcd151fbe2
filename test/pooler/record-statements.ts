/** Notes the names of the statements that a file runs, at the end of `TEST_STATEMENTS`. */
import { appendFileSync } from 'node:fs'
import { afterAll } from 'vitest'
import { Database, type Session, type Statement } from '../../app/store/database.ts'

const names = new Set<string>()
const { query, transaction } = Database.prototype

function noting(session: Session['query']): Session['query'] {
  return (statement: Statement, values) => {
    if (statement.name !== undefined) names.add(statement.name)
    return session(statement, values)
  }
}

Database.prototype.query = function (this: Database, statement: Statement, values?: unknown[]) {
  return noting(query.bind(this) as Session['query'])(statement, values) as ReturnType<typeof query>
} as typeof query

Database.prototype.transaction = function (this: Database, work: (session: Session) => Promise<unknown>) {
  return transaction.call(this, (session) => work({ query: noting(session.query) })) as never
} as typeof transaction

afterAll(() => {
  const file = process.env.TEST_STATEMENTS
  if (file !== undefined) appendFileSync(file, [...names, ''].join('\n'))
})
