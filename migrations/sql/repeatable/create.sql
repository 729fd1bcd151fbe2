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
  COALESCE(job.singleton_key, job.id::text) AS external_id
FROM pgboss.job
JOIN storage.queue ON queue.name = job.name;
