-- phase: expand
-- verify: SELECT to_regclass('storage.queue') IS NOT NULL

-- What a queue promises, beside pg-boss's own row of the same name in pgboss.queue. NULL is "no limit" throughout.
CREATE TABLE storage.queue (
  name text COLLATE "C" NOT NULL,
  retry_limit integer,
  retry_delay_seconds integer NOT NULL DEFAULT 0,
  retry_backoff boolean NOT NULL DEFAULT false,
  dead_letter text COLLATE "C",
  max_age_seconds integer,
  keep_done_seconds integer NOT NULL DEFAULT 0,
  delay_seconds double precision NOT NULL DEFAULT 0,
  max_active integer,
  paused boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT queue_pkey PRIMARY KEY (name),
  CONSTRAINT queue_dead_letter_fkey FOREIGN KEY (dead_letter) REFERENCES storage.queue (name),
  CONSTRAINT queue_dead_letter_other CHECK (dead_letter <> name)
);
CREATE INDEX queue_dead_letter_idx ON storage.queue (dead_letter) WHERE dead_letter IS NOT NULL;

-- Politeness of one host in one queue. A push makes the row, so that a polite pop finds the hosts that are due without
-- reading the items. `ready_at` ends the delay after the last item given out; delay_seconds, blocked_until and max_active
-- override the queue's own where they are set. No foreign key to storage.queue: it would lock the queue's row at each push.
-- A host without waiting items sleeps: otherwise polite pops would look at all the hosts that are long crawled before they
-- come to one with items. Asleep is `pushed_at` = -infinity: a push refreshes what is older than an hour, and so wakes the
-- host without knowing about it. `asleep_until` is when to look again by ourselves.
CREATE TABLE storage.queue_host (
  queue text COLLATE "C" NOT NULL,
  host text COLLATE "C" NOT NULL,
  ready_at timestamptz NOT NULL DEFAULT '-infinity',
  blocked_until timestamptz,
  asleep_until timestamptz,
  delay_seconds double precision,
  max_active integer,
  pushed_at timestamptz NOT NULL DEFAULT now(),
  due_at timestamptz GENERATED ALWAYS AS (
    CASE
      WHEN pushed_at = '-infinity' THEN GREATEST(asleep_until, blocked_until)
      ELSE GREATEST(ready_at, blocked_until)
    END
  ) STORED,
  CONSTRAINT queue_host_pkey PRIMARY KEY (queue, host)
) WITH (fillfactor = 70);
-- Without those that sleep for good. The condition also keeps the planner from reading all hosts of a queue through this
-- index where it looks for a few by name, which it does in a table that was never analyzed.
CREATE INDEX queue_host_due_idx ON storage.queue_host (queue, due_at) WHERE due_at < 'infinity';

-- How many items wait in each queue, counted by one replica for all, so that they report the same number. Unlogged: after
-- a crash it is counted anew.
CREATE UNLOGGED TABLE storage.queue_size (
  queue text COLLATE "C" NOT NULL,
  waiting bigint NOT NULL,
  is_estimate boolean NOT NULL,
  counted_at timestamptz NOT NULL,
  CONSTRAINT queue_size_pkey PRIMARY KEY (queue)
);

-- Which replica has a long poll open on which queue, and until when: a push notifies only where somebody waits, because
-- NOTIFY takes a database-wide lock at commit. Unlogged: after a crash nobody waits.
CREATE UNLOGGED TABLE storage.queue_waiter (
  queue text COLLATE "C" NOT NULL,
  replica uuid NOT NULL,
  until timestamptz NOT NULL,
  CONSTRAINT queue_waiter_pkey PRIMARY KEY (queue, replica)
);

-- The key that signs receipts, one a database, so that every replica reads the receipts of the others.
CREATE TABLE storage.receipt_key (
  id smallint NOT NULL DEFAULT 1,
  key bytea NOT NULL,
  CONSTRAINT receipt_key_pkey PRIMARY KEY (id),
  CONSTRAINT receipt_key_single CHECK (id = 1)
);
INSERT INTO storage.receipt_key (key) VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
