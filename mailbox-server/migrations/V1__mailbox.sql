CREATE TABLE queues (
  id bigint PRIMARY KEY, owner bytea NOT NULL UNIQUE, writer bytea NOT NULL UNIQUE,
  incarnation bytea NOT NULL, days bigint NOT NULL, blobs_max bigint NOT NULL,
  bytes_max bigint NOT NULL, blobs bigint NOT NULL, bytes bigint NOT NULL, next bigint NOT NULL,
  marked boolean NOT NULL, seen_day bigint NOT NULL, card bytea
);
CREATE INDEX queues_seen ON queues (seen_day);
CREATE TABLE blobs (
  queue bigint NOT NULL, number bigint NOT NULL, end_hour bigint NOT NULL, hash bytea, bytes bytea,
  PRIMARY KEY (queue, number)
);
-- Blobs are sealed: trying to compress them is wasted.
ALTER TABLE blobs ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX blobs_end ON blobs (end_hour);
CREATE INDEX blobs_hash ON blobs (queue, hash) WHERE hash IS NOT NULL;
CREATE TABLE gone (queue bigint PRIMARY KEY, blobs bigint NOT NULL, bytes bigint NOT NULL);
-- What was seen may be forgotten with a crash of the database: nothing else may.
CREATE UNLOGGED TABLE nonces (seen bigint PRIMARY KEY, ends bigint NOT NULL);
CREATE INDEX nonces_ends ON nonces (ends);
