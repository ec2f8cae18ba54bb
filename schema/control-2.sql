-- What version 2 of the control file has beyond version 1 (control.sql). Run on a new file after
-- control.sql, and on one of version 1 when a writer opens it: it only adds.

-- Batches of Events Ingest whose validation has begun; their bytes are files (store/spool.c).
CREATE TABLE ingest (
	number INTEGER PRIMARY KEY,       -- in the order of validation; cursors go by it
	id BLOB NOT NULL UNIQUE,          -- of the batch, a UUID
	received INTEGER NOT NULL,        -- ms
	scope BLOB NOT NULL,              -- what the sender may write: subaccounts=…;domains=…
	done INTEGER NOT NULL,            -- events that were looked at, without repetitions in the batch
	succeeded INTEGER NOT NULL,       -- events that were new
	duplicates INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	time INTEGER NOT NULL DEFAULT 0,  -- ms, when the validation ended; 0: not yet
	expires INTEGER NOT NULL DEFAULT 0, -- ms
	event_id BLOB,                    -- of the status record, a UUID
	error TEXT,                       -- error_type of the status record; NULL: success
	digest BLOB                       -- SHA-256 of the lines
);
CREATE INDEX ingest_digest ON ingest (digest);

PRAGMA user_version = 2;
