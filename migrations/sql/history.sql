-- What the runner itself keeps, made before the first file. Nothing else in the database belongs to no file.
CREATE SCHEMA IF NOT EXISTS storage;

-- One row a migration. `state` is running (one that is not a single transaction was begun), applied, reverting or reverted.
-- `down_sql` is the file as it was when it was applied, so that an older image can take the migration back.
CREATE TABLE storage.schema_history (
  version text COLLATE "C" NOT NULL,
  name text NOT NULL,
  phase text NOT NULL,
  state text NOT NULL,
  up_checksum text NOT NULL,
  down_checksum text NOT NULL,
  down_sql text,
  irreversible text,
  started_at timestamptz NOT NULL,
  finished_at timestamptz,
  duration_ms bigint,
  actor text NOT NULL,
  tool_version text NOT NULL,
  statements_done integer NOT NULL DEFAULT 0,
  statement_begun integer,
  checkpoint text,
  rows_done bigint,
  fingerprint_before text,
  fingerprint_after text,
  restore_point text,
  CONSTRAINT schema_history_pkey PRIMARY KEY (version),
  CONSTRAINT schema_history_state CHECK (state IN ('running', 'applied', 'reverting', 'reverted'))
);

-- The checksum of the objects that are taken off and put on again around a migration of pg-boss.
CREATE TABLE storage.schema_repeatable (
  id smallint NOT NULL DEFAULT 1,
  checksum text NOT NULL,
  CONSTRAINT schema_repeatable_pkey PRIMARY KEY (id),
  CONSTRAINT schema_repeatable_single CHECK (id = 1)
);

-- Who owns this database, so that two instances never share one by mistake.
CREATE TABLE storage.instance (
  id smallint NOT NULL DEFAULT 1,
  namespace text NOT NULL,
  name text NOT NULL,
  uid text NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT instance_pkey PRIMARY KEY (id),
  CONSTRAINT instance_single CHECK (id = 1)
);

-- The names of the roles that the runner made, by what they are for.
CREATE TABLE storage.database_role (
  purpose text NOT NULL,
  name text NOT NULL,
  CONSTRAINT database_role_pkey PRIMARY KEY (purpose),
  CONSTRAINT database_role_purpose CHECK (purpose IN ('owner', 'app', 'backup'))
);

-- The whole report of each run of a task; its termination message holds the first lines of it.
CREATE TABLE storage.run_report (
  id bigint GENERATED ALWAYS AS IDENTITY,
  kind text NOT NULL,
  started_at timestamptz NOT NULL,
  finished_at timestamptz NOT NULL DEFAULT now(),
  code text NOT NULL,
  report jsonb NOT NULL,
  CONSTRAINT run_report_pkey PRIMARY KEY (id)
);
