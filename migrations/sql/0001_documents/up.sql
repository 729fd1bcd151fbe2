-- phase: expand
-- verify: SELECT to_regclass('public.documents') IS NOT NULL

CREATE SCHEMA IF NOT EXISTS storage;

-- One row a crawled url. `url` is compared byte for byte (collation C) and bounded at 2,048 bytes: a btree entry ends at
-- 2,704 bytes, and what fits beyond that would depend on how well the value compresses.
-- `crawled_at` carries no index, so that noting a newer crawl of equal content is a heap-only update; the fillfactor
-- leaves room for it on the same page. `updated_at` moves only when content changes, and carries the list order.
-- `content_hash` is a version byte and a hash of everything but status and crawled_at; every writer computes it anew.
CREATE TABLE public.documents (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  url text COLLATE "C" NOT NULL,
  host text COLLATE "C",
  status text COLLATE "C",
  content_type text COLLATE "C",
  size bigint,
  crawled_at timestamptz NOT NULL DEFAULT now(),
  last_modified timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  content_hash bytea,
  metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
  CONSTRAINT documents_pkey PRIMARY KEY (id),
  CONSTRAINT documents_url_key UNIQUE (url),
  CONSTRAINT documents_url_length CHECK (octet_length(url) BETWEEN 1 AND 2048),
  CONSTRAINT documents_size_range CHECK (size BETWEEN 0 AND 9007199254740991),
  CONSTRAINT documents_metadata_object CHECK (jsonb_typeof(metadata) = 'object')
) WITH (fillfactor = 85);

-- One index a filter of the list, each in list order, so that any one of them answers a page without a sort.
CREATE INDEX documents_updated_at_idx ON public.documents (updated_at, id);
CREATE INDEX documents_status_idx ON public.documents (status, updated_at, id);
CREATE INDEX documents_host_idx ON public.documents (host, updated_at, id);
CREATE INDEX documents_content_type_idx ON public.documents (content_type, updated_at, id);
