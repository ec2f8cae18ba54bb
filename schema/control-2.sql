-- What version 2 of the control file has beyond version 1 (control.sql). Run on a new file after
-- control.sql, and on one of version 1 when a writer opens it: it only adds.

PRAGMA user_version = 2;

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
