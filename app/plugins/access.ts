import type { FastifyRequest } from 'fastify'
import type { Authenticator, Caller } from '../auth/caller.ts'
import { ACCESS_LEVELS, type Access } from '../contract.ts'
import { Problem } from '../errors.ts'
import type { App } from '../schemas/app.ts'

/** Lets a request through to a route only with a credential of the level that the route declares. */
export function controlAccess(app: App, authenticator: Authenticator): void {
  app.decorateRequest('caller', undefined)
  app.decorateRequest('requireAccess', requireAccess)
  app.addHook('onRequest', (request, _reply, done) => {
    const { access } = request.routeOptions.config ?? {}
    if (access === undefined || access === 'Open') return done()
    const admit = (caller: Caller) => {
      request.caller = caller
      request.requireAccess(access)
    }
    try {
      const found = authenticator.authenticate(request.headers.authorization)
      if (found instanceof Promise) return void found.then(admit).then(() => done(), done)
      admit(found)
    } catch (error) {
      return done(error as Error)
    }
    done()
  })
}

function requireAccess(this: FastifyRequest, level: Access): void {
  const { caller } = this
  if (caller && ACCESS_LEVELS.indexOf(caller.access) >= ACCESS_LEVELS.indexOf(level)) return
  throw new Problem('forbidden', `This needs the access level ${level}; the caller has ${caller?.access ?? 'none'}.`)
}
