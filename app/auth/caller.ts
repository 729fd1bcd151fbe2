import type { Access } from '../contract.ts'
import { Problem } from '../errors.ts'

/** Who calls: a name for the log, and what is allowed. */
export type Caller = { name: string; access: Access }

/** Finds out who calls from an Authorization header; throws or rejects with `unauthorized`, `forbidden` or `auth_unavailable`. */
export interface Authenticator {
  authenticate(authorization: string | undefined): Caller | Promise<Caller>
}

/** For AUTH=none: everybody may do everything. */
export const everybody: Authenticator = { authenticate: () => ({ name: 'anyone', access: 'Admin' }) }

/** Says what is wrong to whoever runs the service. Never given a credential. */
export type AuthLog = { warn(fields: object, message: string): void; info(fields: object, message: string): void }

/** The token of `Authorization: Bearer <token>`; throws `unauthorized` for anything else. */
export function bearerToken(authorization: string | undefined): string {
  if (authorization === undefined) {
    throw unauthorized('This needs a credential: Authorization: Bearer <token>.', 'Bearer')
  }
  const token = /^bearer +([\w.~+/=-]+) *$/i.exec(authorization)?.[1]
  if (token === undefined) throw unauthorized('The Authorization header is not of the form: Bearer <token>.')
  return token
}

/** A 401 with its challenge. */
export function unauthorized(detail: string, challenge = 'Bearer error="invalid_token"'): Problem {
  return new Problem('unauthorized', detail, { headers: { 'www-authenticate': challenge } })
}
