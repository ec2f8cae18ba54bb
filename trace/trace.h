/* The correlator: observations in, events out. No I/O and no wall clock: its clock is the time of
 * what it is fed (trace_tick moves it on where no line comes). Not thread-safe; one owner. */
#ifndef PW_TRACE_TRACE_H
#define PW_TRACE_TRACE_H

#include <stddef.h>
#include <stdint.h>

#include "event/observation.h"

struct trace;
struct domains;

struct trace_config {
	const char
	        *internal_relays; /* "IP:PORT…" or "IP" separated by blanks or commas, ports may be
	                   ranges: hops to and clients from them continue a message.
	                   NULL = "127.0.0.1:10024-10026 [::1]:10024-10026" */
	const char *customer_id;  /* NULL = "1" */
	const char *subaccount_id;     /* NULL = "0" */
	const char *sending_ips;       /* "syslog_name/service=IP[,pool] …"; NULL = none */
	struct classifier *classifier; /* of failures; NULL = the default one. Not copied. */
	const struct domains *inbound; /* mail for these domains gives relay_… events; NULL = none.
	                                Not copied. */
	bool log_followed;             /* a log of the instance decides; false: the milter alone */
	bool milter;                   /* a milter listens too: mails that it missed are told */
	int64_t join_timeout;          /* ms that an envelope waits for the log; 0 = 60 s */
	int64_t message_age;           /* ms after which an open message ends; 0 = 10 days */
	size_t max_open; /* messages in memory, the rest in the state store; 0 = 500000 */
	bool attempts;   /* make every attempt and refusal an event as logged: hops included,
	               expiry not expanded, no injections (postwake parse --attempts) */
};

/* What the correlator needs from outside; `ctx` is handed through. NULL members are not called. */
struct trace_hooks {
	void *ctx;
	/* A finished event; everything in it is valid only during the call. */
	void (*event)(void *ctx, const struct event *event);
	/* Birth (ms) of a stored message of this queue id whose life contains `time`, or 0. With
	 * `begins`: of the one that was born at `time` as far as was known when it was stored (see
	 * identity_birth_error), the nearest one. Where it is not 0, its message_id in `id_r`,
	 * or "". */
	int64_t (*find_birth)(void *ctx, struct slice node, struct slice instance,
	        struct slice queue_id, int64_t time, bool begins,
	        char id_r[IDENTITY_MESSAGE_ID_LEN + 1]);
	/* State of a message that is not in memory, as trace_save gave it: fills `value` and
	 * returns true. Only asked while trace_config.max_open was exceeded once. */
	bool (*load)(void *ctx, struct slice key, struct slice *value_r);
};

/* NULL with *err set where the configuration makes no sense. Hooks and config are copied. */
struct error;
struct trace *trace_new(
        const struct trace_config *config, const struct trace_hooks *hooks, struct error *err);
void trace_free(struct trace **trace);

/* Works out what of an observation does not hang on others: may be called by another thread, so
 * that trace_feed has less to do. What a reply means stays in the classifier's cache. */
void trace_prepare(const struct trace *trace, struct observation *seen);

/* Feeds one observation; events come out by the hook during the call. Returns what became of the
 * line: LEDGER_EVENT, LEDGER_LINKED, LEDGER_IGNORED or LEDGER_UNPARSED. */
enum ledger_class trace_feed(struct trace *trace, const struct observation *seen);

/* Moves the clock on to `now` (ms), when all sources are at their end: envelopes whose log never
 * came become injections. What ended, or is too old, is forgotten as later lines come: a log may be
 * late, and what it told of last is read again after a restart. */
void trace_tick(struct trace *trace, int64_t now);

/* Hands out each open message that changed since the last call (value.p == NULL: it ended, forget
 * it), to be committed together with the positions of the sources, before the next call. */
void trace_save(struct trace *trace, void (*put)(void *ctx, struct slice key, struct slice value),
        void *ctx);

/* Takes back what trace_save gave in an earlier run. -1: the value is damaged or of an unknown
 * version. */
int trace_restore(struct trace *trace, struct slice key, struct slice value, struct error *err);

/* Forgets the open messages of which `holds` says that a text (address, subject, reply, …) is not
 * to be kept; the next trace_save says so. Later lines about them are taken as those of mails that
 * were never seen before. Returns how many there were. */
typedef bool trace_holds(void *ctx, struct slice text);
unsigned trace_forget(struct trace *trace, trace_holds *holds, void *ctx);

/* Whether a value that trace_save gave has such a text; one that cannot be read has. */
bool trace_saved_holds(struct slice key, struct slice value, trace_holds *holds, void *ctx);

/* When the mail that such a value tells of was first seen, ms; INT64_MAX: it tells of none. */
int64_t trace_saved_since(struct slice key, struct slice value);

struct trace_counts {
	uint64_t open;      /* messages open now */
	uint64_t ambiguous; /* envelopes that fitted several messages: joined to none */
	uint64_t cancelled; /* envelopes whose mail a later filter refused or discarded */
};
struct trace_counts trace_counts(const struct trace *trace);

#endif
