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
-- Uploads: how far each destination ([upload NAME]) has got.
CREATE TABLE destination (
	name TEXT PRIMARY KEY,
	arrival INTEGER NOT NULL,    -- arrival number: all events up to it are in a batch or counted below
	accepted INTEGER NOT NULL,   -- events that the other side took; what it had already, too
	failed INTEGER NOT NULL,     -- events that it refused
	invalid INTEGER NOT NULL,    -- events that lack what it asks for: not sent
	too_old INTEGER NOT NULL,    -- events that were too old before they could be sent
	lost INTEGER NOT NULL,       -- events that retention took before they could be sent, or whose batch
	                             -- ended without anybody knowing what became of it
	max_age INTEGER NOT NULL,    -- ms, what is older is not sent; 0: no limit
	trouble TEXT NOT NULL        -- why nothing is being sent; empty: nothing is wrong
) WITHOUT ROWID;

-- The outbox: batches of events that go to a destination, byte for byte the same at each try. The
-- bytes are in DIR/outbox/ID.gz, on the disk before the row is; they go when the batch has ended.
CREATE TABLE outbox (
	id TEXT PRIMARY KEY,         -- ours: a UUID
	destination TEXT NOT NULL,
	state INTEGER NOT NULL,      -- enum outbox_state
	doubt INTEGER NOT NULL,      -- 1: it may have got there without our knowing
	since INTEGER NOT NULL,      -- arrival numbers: it holds the events above this one
	until INTEGER NOT NULL,      -- up to this one
	events INTEGER NOT NULL,     -- lines in it
	bytes INTEGER NOT NULL,
	hash BLOB NOT NULL,          -- SHA-256 of the bytes
	oldest INTEGER NOT NULL,     -- ms, time of its oldest event
	created INTEGER NOT NULL,    -- ms
	sent INTEGER NOT NULL,       -- ms, when it was sent first; 0: not yet
	next INTEGER NOT NULL,       -- ms, not before: the next try, or the next question for the verdict
	tries INTEGER NOT NULL,      -- how often it was sent
	remote TEXT NOT NULL,        -- the id that the other side gave; empty: none yet
	answer TEXT NOT NULL,        -- what was last said of it
	succeeded INTEGER NOT NULL,  -- the verdict
	failed INTEGER NOT NULL,
	duplicates INTEGER NOT NULL
);
CREATE INDEX outbox_destination ON outbox (destination, until);

-- Events that were not taken, and why: refused by the other side, or not sent at all.
CREATE TABLE outbox_failure (
	id INTEGER PRIMARY KEY,
	destination TEXT NOT NULL,
	batch TEXT NOT NULL,         -- of which batch it was, or would have been
	time INTEGER NOT NULL,       -- ms, when it was written down
	cause TEXT NOT NULL,
	line TEXT NOT NULL           -- the event as it was, or would have been, sent
);
CREATE INDEX outbox_failure_batch ON outbox_failure (batch);

-- Keys of the API (postwake-key(1)). A key is "pw_ID_SECRET"; only its hash is kept.
CREATE TABLE api_key (
	id TEXT PRIMARY KEY,         -- 12 hex digits: the part of the key that is no secret
	salt BLOB NOT NULL,          -- 16 random bytes
	hash BLOB NOT NULL,          -- BLAKE2b of the whole key with the salt as its key, 32 bytes
	name TEXT NOT NULL,          -- what the key is for, in the words of who made it
	grants INTEGER NOT NULL,     -- bits of enum grant (query/access.h)
	subaccounts TEXT,            -- blank separated; NULL: all
	domains TEXT,                -- the same
	created INTEGER NOT NULL     -- ms
) WITHOUT ROWID;

-- What was erased (postwake-erase(1)): the receipt, and the tombstone that keeps it from coming back
-- when a log is read again. Names stand as hashes only (store/tombstone.h).
CREATE TABLE erasure (
	id INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL,       -- enum tombstone_kind
	hash INTEGER NOT NULL,       -- of the name
	local INTEGER NOT NULL,      -- of the local part of an address; 0: none
	alias INTEGER NOT NULL,      -- hash of what stands for the address where only that is kept; 0: none
	alias_local INTEGER NOT NULL,
	telling INTEGER NOT NULL,    -- 1: the local part alone tells who is meant
	time INTEGER NOT NULL,       -- ms, when it was asked for: what happened before is erased
	ended INTEGER NOT NULL,      -- ms, when nothing was left; 0: it still goes on
	events INTEGER NOT NULL,     -- that were removed
	changed INTEGER NOT NULL,    -- events of others in which a text was cleaned
	open INTEGER NOT NULL,       -- mails on their way that were forgotten
	lines INTEGER NOT NULL,      -- kept lines and notices that were cleaned
	days TEXT NOT NULL,          -- day files that were written anew
	rest TEXT NOT NULL           -- what is left to the operator, a line each
);

-- The key of those hashes.
CREATE TABLE erasure_key (
	key BLOB NOT NULL            -- 16 random bytes
);
INSERT INTO erasure_key (key) VALUES (randomblob(16));

-- The version stands twice, so that one whose bits changed is not taken for a newer one (SQL_SIGN).
PRAGMA application_id = 0x50570002;
PRAGMA user_version = 2;
