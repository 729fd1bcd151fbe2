/**
 * What becomes of a request whose statement PostgreSQL has turned down:
 * - `again`: rolled back for a passing reason. Run again at once; 503 where that does not help.
 * - `prepare`: the prepared statement or its plan is no good any more. Run again without it, on another connection.
 * - `unavailable`: the server cannot do it at the moment. 503; the connection stays.
 * - `lost`: the server, or this connection to it, is of no use any more. 503; the connection is closed.
 * - `timeout`: it took too long. 503 `query_timeout`.
 * - `setup`: a table, a column or a right is missing, as before a migration. 503; the log says which.
 * - `race`: another transaction was faster. Where the store does not try again by itself, 503.
 * - `value`: a value that can never be stored. The error of that item; of a whole request 422.
 * - `bug`: a mistake of ours. 500.
 */
export type Fate = 'again' | 'prepare' | 'unavailable' | 'lost' | 'timeout' | 'setup' | 'race' | 'value' | 'bug'

/** The classes of PostgreSQL's error codes (its documentation, appendix A). */
export const CLASS_FATES: Readonly<Record<string, Fate>> = {
  '00': 'bug', // successful completion: never an error
  '01': 'bug', // warning: never an error
  '02': 'bug', // no data
  '03': 'bug', // SQL statement not yet complete
  '08': 'lost', // connection exception
  '09': 'bug', // triggered action exception
  '0A': 'bug', // feature not supported
  '0B': 'bug', // invalid transaction initiation
  '0F': 'bug', // locator exception
  '0L': 'bug', // invalid grantor
  '0P': 'bug', // invalid role specification
  '0Z': 'bug', // diagnostics exception
  '10': 'bug', // XQuery error
  '20': 'bug', // case not found
  '21': 'bug', // cardinality violation
  '22': 'value', // data exception
  '23': 'value', // integrity constraint violation
  '24': 'bug', // invalid cursor state
  '25': 'bug', // invalid transaction state
  '26': 'prepare', // invalid SQL statement name: behind a pooler, it was prepared on another connection
  '27': 'bug', // triggered data change violation
  '28': 'lost', // invalid authorization: a password that is being changed, a pg_hba.conf that is wrong
  '2B': 'bug', // dependent privilege descriptors still exist
  '2D': 'bug', // invalid transaction termination
  '2F': 'bug', // SQL routine exception
  '34': 'bug', // invalid cursor name
  '38': 'bug', // external routine exception
  '39': 'bug', // external routine invocation exception
  '3B': 'bug', // savepoint exception
  '3D': 'lost', // invalid catalog name: the database is not there (yet)
  '3F': 'setup', // invalid schema name
  '40': 'again', // transaction rollback: serialization failure, deadlock
  '42': 'bug', // syntax error or access rule violation
  '44': 'bug', // WITH CHECK OPTION violation
  '53': 'unavailable', // insufficient resources: disk, memory, connections
  '54': 'value', // program limit exceeded
  '55': 'unavailable', // object not in prerequisite state: locked, in use
  '57': 'lost', // operator intervention: shut down, crashed, starting, the database dropped
  '58': 'unavailable', // system error: the server's own input and output
  '72': 'again', // snapshot failure
  F0: 'lost', // configuration file error
  HV: 'bug', // foreign data wrapper error
  P0: 'bug', // PL/pgSQL error
  XX: 'lost', // internal error of PostgreSQL, data or index corrupted
}

/** Codes that mean something else than the rest of their class. */
export const CODE_FATES: Readonly<Record<string, Fate>> = {
  '23503': 'race', // foreign key violation: the queue was deleted
  '23505': 'race', // unique violation
  '23514': 'race', // check violation: the queue has moved to another table
  '23P01': 'race', // exclusion violation
  '25006': 'lost', // read-only transaction: the server has become a standby
  '25P03': 'lost', // idle_in_transaction_session_timeout: the session has ended
  '25P04': 'lost', // transaction_timeout: the same
  '40003': 'lost', // statement completion unknown: it may have happened
  '42501': 'setup', // insufficient privilege
  '42703': 'setup', // undefined column
  '42704': 'setup', // undefined object
  '42883': 'setup', // undefined function
  '42P01': 'setup', // undefined table
  '42P05': 'prepare', // duplicate prepared statement: a pooler has given this name to somebody else
  '42P10': 'setup', // invalid column reference: an upsert without its index
  '55P02': 'bug', // cannot change runtime parameter
  '55P04': 'bug', // unsafe new enum value usage
  '57014': 'timeout', // query canceled
}

// PostgreSQL has no code of its own for this; the name of the function is the same in every language of its messages.
const STALE_PLAN = { code: '0A000', routine: 'RevalidateCachedQuery' }

/** What becomes of an error with this SQLSTATE; `routine` is the function of PostgreSQL that threw it. */
export function fateOf(code: string, routine?: string): Fate {
  if (code === STALE_PLAN.code && routine === STALE_PLAN.routine) return 'prepare'
  return CODE_FATES[code] ?? CLASS_FATES[code.slice(0, 2)] ?? 'bug'
}
