import { attacksOnEveryRoute } from './every-route.ts'
import { particularAttacks } from './particular.ts'
import { routes, testAttacks } from './siege.ts'

testAttacks([...attacksOnEveryRoute(routes), ...particularAttacks(routes)])
