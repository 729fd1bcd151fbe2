DROP TABLE storage.queue_size;
DROP INDEX pgboss.job_storage_dead_letter_idx;
DROP INDEX pgboss.job_storage_ungrouped_idx;
DROP INDEX storage.queue_host_due_idx;
ALTER TABLE storage.queue_host
  DROP COLUMN due_at,
  DROP COLUMN asleep_until;
ALTER TABLE storage.queue_host
  ADD COLUMN due_at timestamptz GENERATED ALWAYS AS (GREATEST(ready_at, blocked_until)) STORED;
CREATE INDEX queue_host_due_idx ON storage.queue_host (queue, due_at);
