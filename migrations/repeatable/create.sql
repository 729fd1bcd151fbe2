-- The original's table of queue items, as a view. `id` is the caller's id where that is a UUID, otherwise the UUIDv5 of
-- queue and id: the service gives each item that id when it is pushed. `external_id` is the caller's id as it came.
CREATE VIEW public.queue_items AS
SELECT
  job.id,
  job.name AS queue_name,
  job.priority,
  job.data AS payload,
  CASE job.state
    WHEN 'created' THEN 'pending'
    WHEN 'retry' THEN 'pending'
    WHEN 'active' THEN 'processing'
    WHEN 'completed' THEN 'completed'
    ELSE 'failed'
  END AS status,
  job.created_on AS created_at,
  CASE WHEN job.state IN ('created', 'retry') THEN job.start_after ELSE job.started_on END AS scheduled_at,
  job.singleton_key AS external_id
FROM pgboss.job
JOIN storage.queue ON queue.name = job.name;

-- The waiting items of one host in pop order: what a polite pop reads of each host that is due. On the parent, so that
-- a partition made later gets it when it is attached.
CREATE INDEX IF NOT EXISTS job_storage_group_idx ON pgboss.job (name, group_id, priority DESC, created_on, start_after)
WHERE state < 'active' AND NOT blocked AND group_id IS NOT NULL;

-- The waiting items that belong to no host, in pop order: a polite pop finds them behind any number of a busy host's items.
CREATE INDEX IF NOT EXISTS job_storage_ungrouped_idx ON pgboss.job (name, priority DESC, created_on, start_after)
WHERE state < 'active' AND NOT blocked AND group_id IS NULL;

-- Without it each delete of a queue reads all items of all queues: the foreign key of pg-boss's dead letters has no index.
CREATE INDEX IF NOT EXISTS job_storage_dead_letter_idx ON pgboss.job (dead_letter) WHERE dead_letter IS NOT NULL;
