DROP TABLE storage.receipt_key;
DROP TABLE storage.queue_waiter;
DROP TABLE storage.queue_size;
DROP TABLE storage.queue_host;
DROP TABLE storage.queue;
