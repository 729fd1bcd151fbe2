-- transaction: none
DROP INDEX CONCURRENTLY public.documents_media_type_idx;
