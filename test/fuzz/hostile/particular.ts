/** Attacks on what one operation does with what it is given. */
import { type Attack, type expectNoFault, expectOneOf } from './attack.ts'
import { attacksOnConnections } from './connections.ts'
import { forgedCursors, mutationsOf } from './cursors.ts'
import { attacksOnImports } from './imports.ts'
import { attacksByLargeAnswers } from './large-answers.ts'
import { attacksByReaders } from './readers.ts'
import type { Route } from './routes.ts'
import { shot } from './shots.ts'
import { attacksByBodies } from './values.ts'

/** Parameters that say where to go on; `after` of an export is an id. */
const CURSORS = new Set(['cursor', 'after'])

export function particularAttacks(routes: readonly Route[]): Attack[] {
  return [
    ...attacksOnImports(),
    ...attacksByBodies(routes),
    ...cursors(routes),
    ...attacksOnConnections(routes),
    ...attacksByReaders(),
    ...attacksByLargeAnswers(),
  ]
}

function cursors(routes: readonly Route[]): Attack[] {
  const paged = routes.flatMap((route) =>
    route.query.filter((name) => CURSORS.has(name)).map((name) => ({ route, name })),
  )
  return [
    {
      name: 'forged cursors',
      as: 'Read',
      atOnce: 8,
      shots: (genuine) =>
        paged.flatMap(({ route, name }) => {
          const send = (cursor: string, what: typeof expectNoFault) => {
            const target = `${route.target}?${name}=${encodeURIComponent(cursor)}`
            return { ...shot({ ...route, target }, 'Read', what), name: `${route.name} after ${cursor.slice(0, 80)}` }
          }
          const changed = genuine.flatMap(mutationsOf).map((cursor) => send(cursor, expectOneOf(200, 400)))
          return [...forgedCursors().map((cursor) => send(cursor, expectOneOf(400))), ...changed]
        }),
    },
  ]
}
