-- transaction: none
DROP INDEX CONCURRENTLY public.documents_changed_idx;
DROP TRIGGER documents_truncated ON public.documents;
DROP TRIGGER documents_deleted ON public.documents;
DROP TRIGGER documents_changed ON public.documents;
DROP FUNCTION storage.note_truncation(), storage.note_deletions(), storage.note_change();
DROP TABLE storage.change_timeline, storage.change_feed, storage.document_deletion;
ALTER TABLE public.documents DROP COLUMN changed_xid;
