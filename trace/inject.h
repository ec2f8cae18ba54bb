/* Injection events: one for each recipient of a story. */
#ifndef PW_TRACE_INJECT_H
#define PW_TRACE_INJECT_H

#include "trace/join.h"

void inject_letter(struct trace *trace, struct message *message);
/* For a recipient that the log names, unless its envelope was injected. */
void inject_recipient(
        struct trace *trace, struct message *message, struct slice to, struct slice orig_to);
void inject_blank(struct trace *trace, struct message *message);
/* The injections of a mail that only the milter saw. */
void inject_orphan(
        struct trace *trace, struct stream *stream, struct orphan *orphan, struct story *story);

#endif
