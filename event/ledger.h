/* The line ledger: every line of a source ends as exactly one of five classes (design, 8). */
#ifndef PW_EVENT_LEDGER_H
#define PW_EVENT_LEDGER_H

enum ledger_class {
	LEDGER_EVENT,    /* made at least one event that was new */
	LEDGER_LINKED,   /* tells something about a message that we follow */
	LEDGER_IGNORED,  /* a named rule says that it means nothing */
	LEDGER_KNOWN,    /* all its events were there already */
	LEDGER_UNPARSED, /* no rule; kept with file and offset */
	LEDGER_CLASSES
};

/* "event", "linked", …: as the APIs and the programs name them. */
extern const char *const ledger_names[LEDGER_CLASSES];

#endif
