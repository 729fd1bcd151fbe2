-- phase: expand
-- transaction: none
-- verify: SELECT to_regclass('public.documents_media_type_idx') IS NOT NULL

-- The list's filter by content type compares the media type alone, in lower case: 'Text/HTML; charset=utf-8' is text/html. In
-- list order, as the indexes of the other filters. An index on an expression costs no column, and noting a newer crawled_at
-- stays a heap-only update: the expression reads none but content_type.
-- The index of the whole content type serves the release before; a later contract takes it off.
CREATE INDEX CONCURRENTLY documents_media_type_idx ON public.documents (
  (translate(lower(btrim(split_part(content_type, ';', 1), E' \t')), ' ', '+')), updated_at, id
);
