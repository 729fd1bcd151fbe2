-- phase: expand
-- verify: SELECT to_regclass('storage.queue_size') IS NOT NULL

-- A host without waiting items sleeps: otherwise polite pops would look at all the hosts that are long crawled before they
-- come to one with items. Asleep is `pushed_at` = -infinity: a push refreshes what is older than an hour, and so wakes the
-- host without knowing about it. `asleep_until` is when to look again by ourselves.
DROP INDEX storage.queue_host_due_idx;
ALTER TABLE storage.queue_host
  DROP COLUMN due_at,
  ADD COLUMN asleep_until timestamptz;
ALTER TABLE storage.queue_host
  ADD COLUMN due_at timestamptz GENERATED ALWAYS AS (
    CASE
      WHEN pushed_at = '-infinity' THEN GREATEST(asleep_until, blocked_until)
      ELSE GREATEST(ready_at, blocked_until)
    END
  ) STORED;
-- Without those that sleep for good. The condition also keeps the planner from reading all hosts of a queue through this
-- index where it looks for a few by name, which it does in a table that was never analyzed.
CREATE INDEX queue_host_due_idx ON storage.queue_host (queue, due_at) WHERE due_at < 'infinity';

-- The waiting items that belong to no host, in pop order: a polite pop finds them behind any number of a busy host's items.
CREATE INDEX job_storage_ungrouped_idx ON pgboss.job (name, priority DESC, created_on, start_after)
WHERE state < 'active' AND NOT blocked AND group_id IS NULL;

-- Without it each delete of a queue reads all items of all queues: the foreign key of pg-boss's dead letters has no index.
CREATE INDEX job_storage_dead_letter_idx ON pgboss.job (dead_letter) WHERE dead_letter IS NOT NULL;

-- How many items wait in each queue, counted by one replica for all, so that they report the same number. Unlogged: after
-- a crash it is counted anew.
CREATE UNLOGGED TABLE storage.queue_size (
  queue text COLLATE "C" NOT NULL,
  waiting bigint NOT NULL,
  is_estimate boolean NOT NULL,
  counted_at timestamptz NOT NULL,
  CONSTRAINT queue_size_pkey PRIMARY KEY (queue)
);
