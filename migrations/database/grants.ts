/** What a role beside the owner is for. */
export type Purpose = 'app' | 'backup'

/** A statement that gives a role its due; the name is quoted already. */
export type Grant = (role: string) => string

const onPartitions: Grant = (role) => `
  DO $do$ DECLARE partition regclass; BEGIN
    FOR partition IN SELECT class.oid FROM pg_class AS class
      WHERE relnamespace = 'pgboss'::regnamespace AND relkind = 'r' AND relname ~ '^j[0-9a-f]{56}$'
    LOOP EXECUTE format('GRANT TRUNCATE ON %s TO %s', partition, ${literal(role)}); END LOOP;
  END $do$`

function literal(role: string): string {
  return `'${role.replaceAll("'", "''")}'`
}

/** What both roles may do with the view, which loses its grants whenever it is made anew. */
export const VIEW_GRANT: Grant = (role) => `GRANT SELECT ON public.queue_items TO ${role}`

/**
 * Each role's grants, complete: the app reads and writes rows and empties queue partitions; it owns nothing, and neither
 * makes nor drops a table. The backup role reads.
 */
export const GRANTS: Record<Purpose, readonly Grant[]> = {
  app: [
    (role) => `GRANT USAGE ON SCHEMA storage, pgboss TO ${role}`,
    (role) => `GRANT SELECT, INSERT, UPDATE, DELETE ON public.documents TO ${role}`,
    VIEW_GRANT,
    (role) => `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA storage, pgboss TO ${role}`,
    (role) => `REVOKE ALL ON storage.run_report FROM ${role}`,
    (role) => `REVOKE INSERT, UPDATE, DELETE ON storage.schema_history, storage.schema_repeatable, storage.instance,
      storage.database_role, storage.receipt_key FROM ${role}`,
    onPartitions,
  ],
  backup: [
    (role) => `GRANT USAGE ON SCHEMA storage, pgboss TO ${role}`,
    (role) => `GRANT SELECT ON public.documents TO ${role}`,
    VIEW_GRANT,
    (role) => `GRANT SELECT ON ALL TABLES IN SCHEMA storage, pgboss TO ${role}`,
    (role) => `GRANT SELECT ON ALL SEQUENCES IN SCHEMA storage TO ${role}`,
  ],
}
