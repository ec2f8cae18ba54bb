-- What version 2 of the control file has beyond version 1 (control.sql). Run on a new file after
-- control.sql, and on one of version 1 when a writer opens it: it only adds.

-- What was erased (postwake-erase(1)): the receipt, and the tombstone that keeps it from coming back
-- when a log is read again. Names stand as hashes only (store/tombstone.h).
CREATE TABLE erasure (
	id INTEGER PRIMARY KEY,
	kind INTEGER NOT NULL,       -- enum tombstone_kind
	hash INTEGER NOT NULL,       -- of the name
	local INTEGER NOT NULL,      -- of the local part of an address; 0: none
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

PRAGMA user_version = 2;
