-- A day file: DIR/YYYY-MM-DD.db holds the events of one UTC day (by the time of the event), with
-- all that is needed to read them. Rows are only ever added (but `postwake reclassify` writes bodies of
-- events anew); retention unlinks the whole file.

-- Facts about the file.
CREATE TABLE meta (
	name TEXT PRIMARY KEY,   -- 'key': 16 bytes, key of the hashes in this file; 'erased': events were
	                         -- taken out of it, so that its commits count more than there are
	value BLOB NOT NULL
) WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('key', randomblob(16));

-- Dictionaries: strings that come again and again stand in rows as a number. Several, so that a
-- substring search reads only the strings of its kind. A row holds many strings, whose ids follow
-- each other (store/dict_block.h), since a step of SQLite costs more than a look at one string.
CREATE TABLE word (
	id INTEGER PRIMARY KEY,  -- of the first string
	body BLOB NOT NULL
);
-- Where the writer looks whether a string is there: 31 bits of its keyed hash (store/dict.c).
CREATE TABLE word_hash (
	hash INTEGER NOT NULL,
	id INTEGER NOT NULL,     -- of the string
	PRIMARY KEY (hash, id)
) WITHOUT ROWID;

-- reason and raw_reason of failures. Index terms: 'x' and the id of the string.
CREATE TABLE reason (
	id INTEGER PRIMARY KEY,
	body BLOB NOT NULL
);
CREATE TABLE reason_hash (
	hash INTEGER NOT NULL,
	id INTEGER NOT NULL,
	PRIMARY KEY (hash, id)
) WITHOUT ROWID;

-- Index terms: 'u' and the id of the string.
CREATE TABLE subject (
	id INTEGER PRIMARY KEY,
	body BLOB NOT NULL
);
CREATE TABLE subject_hash (
	hash INTEGER NOT NULL,
	id INTEGER NOT NULL,
	PRIMARY KEY (hash, id)
) WITHOUT ROWID;

-- Which fields rows have, in which form, and the values of those that have few; see store/row.c.
CREATE TABLE shape (
	id INTEGER PRIMARY KEY,
	body BLOB NOT NULL
);
CREATE TABLE shape_hash (
	hash INTEGER NOT NULL,
	id INTEGER NOT NULL,
	PRIMARY KEY (hash, id)
) WITHOUT ROWID;

-- What is the same for all events of a message. Immutable: a message of which more becomes known
-- gets a new row, older events keep theirs.
CREATE TABLE message (
	id INTEGER PRIMARY KEY,
	body BLOB NOT NULL       -- packed fields, see store/row.c
);

CREATE TABLE event (
	id INTEGER PRIMARY KEY,  -- milliseconds since the start of the day << 15 | order
	arrival INTEGER NOT NULL,-- number in the order of commits over the whole store
	message INTEGER,         -- message.id; NULL: the event belongs to no message
	body BLOB NOT NULL       -- packed fields, see store/row.c
);

-- One row a commit: which arrival numbers it gave, between which rows they are, and what of it the
-- control file has to count.
CREATE TABLE commits (
	last INTEGER PRIMARY KEY,
	first INTEGER NOT NULL,
	low INTEGER NOT NULL,    -- smallest event.id
	high INTEGER NOT NULL,   -- greatest event.id
	missed INTEGER NOT NULL  -- mails among them that the milter missed
);

-- Number of events by minute of the day, type (number in events.def) and bounce class (-1: none).
CREATE TABLE rollup (
	minute INTEGER NOT NULL,
	type INTEGER NOT NULL,
	class INTEGER NOT NULL,
	count INTEGER NOT NULL,
	PRIMARY KEY (minute, type, class)
) WITHOUT ROWID;

-- The inverted index of all exact filters: which rows have a term (store/terms.h). What commits
-- added stands in the tail, until there is enough for a segment; see store/index.h.
CREATE TABLE tail (
	id INTEGER PRIMARY KEY,
	body BLOB NOT NULL       -- documents and their terms, see store/tail.h
);

CREATE TABLE segment (
	id INTEGER PRIMARY KEY,
	live INTEGER NOT NULL DEFAULT 0,   -- 0: it is being made, or was merged into another
	low INTEGER NOT NULL,              -- smallest event.id
	high INTEGER NOT NULL,             -- greatest event.id
	docs INTEGER NOT NULL,             -- number of events
	pieces INTEGER NOT NULL DEFAULT 0, -- that it is made of
	dead INTEGER NOT NULL DEFAULT 0    -- events that are not in it any more
);

-- The bytes of segments, see store/segment.c and store/piece.h.
CREATE TABLE piece (
	id INTEGER PRIMARY KEY,  -- segment.id << 24 | number of the piece
	body BLOB NOT NULL
);

-- With what a piece starts: a row (below 2^48) or a term.
CREATE TABLE fence (
	segment INTEGER NOT NULL,
	key INTEGER NOT NULL,
	piece INTEGER NOT NULL,
	PRIMARY KEY (segment, key)
) WITHOUT ROWID;

-- Events that a segment holds no more: their terms changed, or they were erased.
CREATE TABLE dead (
	segment INTEGER NOT NULL,
	doc INTEGER NOT NULL,    -- number of the event in the segment
	PRIMARY KEY (segment, doc)
) WITHOUT ROWID;

-- The version stands twice, so that one whose bits changed is not taken for a newer one (SQL_SIGN).
PRAGMA application_id = 0x50570003;
PRAGMA user_version = 3;
