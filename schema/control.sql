-- The control file: DIR/control.sqlite holds what a commit keeps beside the events. It is written
-- last, so it may lag behind the day files and never leads.

CREATE TABLE meta (
	name TEXT PRIMARY KEY,   -- 'mark': highest arrival number that the ledger has counted;
	                         -- 'dropped': highest that went with a day file; 'pseudonymise':
	                         -- ms, since when only keyed hashes of addresses are written;
	                         -- 'clock': ms, the time as far as it was believed;
	                         -- 'clock_waited': ms that another one has been seen
	value INTEGER NOT NULL
) WITHOUT ROWID;

-- How far each source is read, in the words of its follower.
CREATE TABLE position (
	source BLOB PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

-- Open messages and the like, in the words of the correlator.
CREATE TABLE state (
	key BLOB PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

-- The line ledger: what became of each line of a source.
CREATE TABLE ledger (
	source BLOB PRIMARY KEY,
	event INTEGER NOT NULL,    -- lines that made at least one new event
	linked INTEGER NOT NULL,
	ignored INTEGER NOT NULL,
	known INTEGER NOT NULL,    -- lines whose events were all there
	unparsed INTEGER NOT NULL,
	events INTEGER NOT NULL    -- new events that the lines made
) WITHOUT ROWID;

CREATE TABLE counter (
	name TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) WITHOUT ROWID;

-- Times or bytes of a source that nobody read. The last 10,000.
CREATE TABLE gap (
	id INTEGER PRIMARY KEY,
	source BLOB NOT NULL,
	since INTEGER NOT NULL,    -- ms; 0: unknown
	until INTEGER NOT NULL,
	bytes INTEGER NOT NULL,    -- -1: unknown
	text BLOB NOT NULL
);

-- Lines that no rule knew. The last 10,000.
CREATE TABLE unparsed (
	id INTEGER PRIMARY KEY,
	source BLOB NOT NULL,
	offset INTEGER NOT NULL,   -- byte offset in the file; -1: unknown
	time INTEGER NOT NULL,     -- ms, of the line; where it tells none, when it was read
	text BLOB NOT NULL
);

-- Events that are in a day file but whose line the ledger has not counted, since the commit was cut
-- off between the day file and this file.
CREATE TABLE uncounted (
	event_id INTEGER PRIMARY KEY
);

-- The version stands twice, so that one whose bits changed is not taken for a newer one (SQL_SIGN).
PRAGMA application_id = 0x50570001;
PRAGMA user_version = 1;
