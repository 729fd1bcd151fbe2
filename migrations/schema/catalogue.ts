/** Everything that is in our schemas, as PostgreSQL's catalogue tells it: the same text on every version from 15 on. */

/** What the catalogue says about one object; keys in alphabetical order, without what is false, empty or null. */
export type Definition = Record<string, unknown>

/** Objects by `kind name`, in order; grants are apart, because they depend on which roles there are. */
export type Catalogue = { objects: Record<string, Definition>; grants: Record<string, Definition> }

/** One row of `CATALOGUE_SQL`. */
export type CatalogueRow = { kind: string; name: string; definition: Definition }

// Queue partitions come and go with the queues, pg-boss's partitions of statistics with the days, and a rebuild of an index
// has a twin for a while.
const PASSING = `'^(j[0-9a-f]{56}|queue_stats_[0-9]{8}|.*_cc(new|old)[0-9]*$)'`

const RELATION = `relation AS (
  SELECT class.oid, class.relkind, class.relowner, class.relacl, class.relpersistence, class.reloptions,
    class.relrowsecurity, class.relpartbound, namespace.nspname || '.' || class.relname AS name
  FROM pg_class AS class JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
  WHERE namespace.nspname IN ('public', 'storage', 'pgboss') AND class.relname !~ ${PASSING}
    AND class.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = class.oid AND deptype = 'e'))`

const TABLES = `SELECT 'table', name, jsonb_build_object('persistence', nullif(relpersistence, 'p'),
    'options', (SELECT string_agg(option, ', ' ORDER BY option) FROM unnest(reloptions) AS option),
    'rowSecurity', nullif(relrowsecurity, false), 'partitionKey', pg_get_partkeydef(oid),
    'partition', pg_get_expr(relpartbound, oid))
  FROM relation WHERE relkind IN ('r', 'p', 'f')`

const COLUMNS = `SELECT 'column', relation.name || '.' || attname, jsonb_build_object(
    'type', format_type(atttypid, atttypmod), 'notNull', nullif(attnotnull AND relkind <> 'v', false),
    'default', pg_get_expr(adbin, adrelid), 'generated', nullif(attgenerated, ''), 'identity', nullif(attidentity, ''),
    'collation', CASE WHEN attcollation <> typcollation THEN collname END)
  FROM relation JOIN pg_attribute ON attrelid = relation.oid AND attnum > 0 AND NOT attisdropped
  JOIN pg_type ON pg_type.oid = atttypid
  LEFT JOIN pg_collation ON pg_collation.oid = attcollation
  LEFT JOIN pg_attrdef ON adrelid = relation.oid AND adnum = attnum`

// PostgreSQL 18 has a constraint for each NOT NULL column, which the column tells already.
const CONSTRAINTS = `SELECT 'constraint', relation.name || ' ' || conname, jsonb_build_object(
    'definition', regexp_replace(pg_get_constraintdef(pg_constraint.oid), ' NOT VALID$', ''),
    'valid', CASE WHEN NOT convalidated THEN false END)
  FROM relation JOIN pg_constraint ON conrelid = relation.oid AND contype NOT IN ('n', 't')`

const INDEXES = `SELECT 'index', relation.name || ' ' || class.relname, jsonb_build_object(
    'definition', pg_get_indexdef(indexrelid), 'valid', CASE WHEN NOT indisvalid THEN false END,
    'options', array_to_string(class.reloptions, ', '))
  FROM relation JOIN pg_index ON indrelid = relation.oid JOIN pg_class AS class ON class.oid = indexrelid
  WHERE class.relname !~ ${PASSING}`

// The versions differ in white space, parentheses and where they write the table before a column.
const VIEWS = `SELECT 'view', name,
    jsonb_build_object('definition', regexp_replace(pg_get_viewdef(oid), '\\m\\w+\\.|[\\s();]+', ' ', 'g'))
  FROM relation WHERE relkind IN ('v', 'm')`

const FUNCTIONS = `SELECT 'function', nspname || '.' || proname || '(' || pg_get_function_identity_arguments(pg_proc.oid) || ')',
    jsonb_build_object('returns', pg_get_function_result(pg_proc.oid), 'language', lanname, 'volatility', provolatile,
      'securityDefiner', nullif(prosecdef, false), 'settings', array_to_string(proconfig, ', '), 'source', md5(btrim(regexp_replace(prosrc, '\\s+', ' ', 'g'))))
  FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace JOIN pg_language ON pg_language.oid = prolang
  WHERE nspname IN ('storage', 'pgboss')`

const TRIGGERS = `SELECT 'trigger', relation.name || ' ' || tgname,
    jsonb_build_object('definition', pg_get_triggerdef(pg_trigger.oid), 'disabled', nullif(tgenabled = 'D', false))
  FROM relation JOIN pg_trigger ON tgrelid = relation.oid AND NOT tgisinternal`

const TYPES = `SELECT 'type', nspname || '.' || typname, jsonb_build_object('labels',
    (SELECT string_agg(enumlabel, ', ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = pg_type.oid))
  FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
  WHERE typtype = 'e' AND nspname IN ('storage', 'pgboss')`

const GRANTS = `SELECT 'grant', object || ' to ' || CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END,
    jsonb_build_object('privileges', string_agg(privilege_type, ', ' ORDER BY privilege_type))
  FROM (
    SELECT name AS object, relowner AS owner, coalesce(relacl, acldefault('r', relowner)) AS acl FROM relation
    UNION ALL
    SELECT 'schema ' || nspname, nspowner, coalesce(nspacl, acldefault('n', nspowner)) FROM pg_namespace
      WHERE nspname IN ('storage', 'pgboss')
    UNION ALL
    SELECT 'functions of ' || nspname, proowner, coalesce(proacl, acldefault('f', proowner))
      FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname IN ('storage', 'pgboss')
  ) AS granted, aclexplode(acl)
  WHERE grantee <> owner GROUP BY object, grantee`

/** Answers `CatalogueRow`s; any role may run it. */
export const CATALOGUE_SQL = `WITH ${RELATION}
  SELECT kind, name, jsonb_strip_nulls(definition) AS definition FROM (
    ${[TABLES, COLUMNS, CONSTRAINTS, INDEXES, VIEWS, FUNCTIONS, TRIGGERS, TYPES].join(' UNION ALL ')}
    UNION ALL SELECT 'schema', nspname, '{}' FROM pg_namespace WHERE nspname IN ('storage', 'pgboss')
    UNION ALL SELECT 'extension', extname, '{}' FROM pg_extension
    UNION ALL ${GRANTS}
  ) AS object (kind, name, definition)`

/** Puts the rows into order. `roles` are the runner's own roles by name: a grant to one of them is told by what it is for. */
export function toCatalogue(rows: CatalogueRow[], roles: Record<string, string> = {}): Catalogue {
  const catalogue: Catalogue = { objects: {}, grants: {} }
  const keyed = rows.map((row) => ({ row, key: keyOf(row, roles) })).sort((a, b) => (a.key < b.key ? -1 : 1))
  for (const { row, key } of keyed) {
    const entries = Object.entries(row.definition).filter(([, value]) => value !== '')
    const definition = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))
    if (row.kind === 'grant') catalogue.grants[key] = definition
    else catalogue.objects[key] = definition
  }
  return catalogue
}

function keyOf({ kind, name }: CatalogueRow, roles: Record<string, string>): string {
  if (kind !== 'grant') return `${kind} ${name}`
  const [object = '', grantee = ''] = name.split(/ to (?=[^ ]+$)/)
  return `grant on ${object} to ${roles[grantee] ?? grantee}`
}
