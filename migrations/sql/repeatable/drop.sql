-- What depends on pg-boss's tables, taken off before pg-boss migrates them: the view pins the columns it reads.
DROP VIEW IF EXISTS public.queue_items;
