/* Events in the making. */
#ifndef PW_TRACE_DRAFT_H
#define PW_TRACE_DRAFT_H

#include "trace/story.h"
#include "trace/trace.h"

struct draft {
	struct event event;
	struct trace *trace;
};

void draft_begin(struct draft *draft, struct trace *trace, enum event_type type);
void draft_story(struct draft *draft, struct story *story, const struct stream *stream,
        struct slice queue_id);
void draft_recipient(
        struct draft *draft, struct letter *letter, struct slice to, struct slice orig_to);
void draft_failure(
        struct draft *draft, struct slice raw_reason, struct slice dsn, struct slice code);
void draft_number(struct draft *draft, enum field field, int64_t value);
void draft_set(struct draft *draft, enum field field, struct slice value);
void draft_emit(struct draft *draft);
struct slice draft_printf(struct trace *trace, const char *format, ...)
        __attribute__((format(printf, 2, 3)));
/* "ip:port"; absent without an address. */
struct slice draft_address(struct trace *trace, struct slice ip, struct slice port);

#endif
