import { existsSync } from 'node:fs'
import { join } from 'node:path'

const HISTORY = 'history.sql'

/** Where the SQL is: beside the folder of this file, or beside the bundle that this file became a part of. */
export const MIGRATIONS_FOLDER: string = find()

function find(): string {
  const here = import.meta.dirname
  const places = ['../sql', 'sql', '../migrations/sql', '../../migrations/sql'].map((place) => join(here, place))
  return places.find((place) => existsSync(join(place, HISTORY))) ?? here
}
