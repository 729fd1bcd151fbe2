-- Our indexes on pg-boss's tables. Each run builds those that are missing, partition by partition where the table has any,
-- so that nobody waits. A definition that changes gets a new name.

-- The waiting items of one host in pop order: what a polite pop reads of each host that is due. On the parent, so that
-- a partition made later gets it when it is attached.
CREATE INDEX CONCURRENTLY IF NOT EXISTS job_storage_group_idx ON pgboss.job (name, group_id, priority DESC, created_on, start_after)
WHERE state < 'active' AND NOT blocked AND group_id IS NOT NULL;

-- The waiting items that belong to no host, in pop order: a polite pop finds them behind any number of a busy host's items.
CREATE INDEX CONCURRENTLY IF NOT EXISTS job_storage_ungrouped_idx ON pgboss.job (name, priority DESC, created_on, start_after)
WHERE state < 'active' AND NOT blocked AND group_id IS NULL;

-- Without it each delete of a queue reads all items of all queues: the foreign key of pg-boss's dead letters has no index.
CREATE INDEX CONCURRENTLY IF NOT EXISTS job_storage_dead_letter_idx ON pgboss.job (dead_letter) WHERE dead_letter IS NOT NULL;

-- The waiting items that may not wait for ever, by their end: what the sweep finds the old ones by, whatever the options of
-- their queue are by now. Empty where no queue has such a limit.
CREATE INDEX CONCURRENTLY IF NOT EXISTS job_storage_keep_until_idx ON pgboss.job (name, keep_until)
WHERE state < 'active' AND keep_until < 'infinity';

-- The done ids that are kept, by when they were done. pg-boss's index holds failed items as well, any number of them.
CREATE INDEX CONCURRENTLY IF NOT EXISTS job_storage_done_idx ON pgboss.job (name, completed_on) WHERE state = 'completed';
