/* A search while it is being answered: what the routes of API v1 and of the Events API share. */
#ifndef PW_QUERY_SEARCHING_H
#define PW_QUERY_SEARCHING_H

#include "event/catalogue.h"
#include "query/params.h"
#include "query/request.h"

/* More than what a link has without its filters. */
#define LINK_FRAME 512

struct searching {
	const struct query_request *request;
	struct query_answer *answer; /* its body: the results as a JSON array, without its end */
	enum api_generation api;
	struct message_query query;
	unsigned limit; /* events to show */
	unsigned shown;
	uint64_t last_row; /* of the last one */
	bool more;         /* there is an event after it */
	bool full;         /* the budget is spent: the answer is a 503 */
};

/* Reads the parameters. False: the answer says what is wrong with them. searching_clear in any
 * case. */
bool searching_begin(struct searching *searching, const struct query_request *request,
        struct query_answer *answer_r, enum api_generation api);
void searching_clear(struct searching *searching);

/* Runs the search for a page of a snapshot; *total_r counts its matches. False: the answer is a
 * failure. query.search.as_of becomes the snapshot. */
bool searching_page(struct searching *searching, uint64_t *total_r);

/* The same for what arrived after query.since; query.search.as_of becomes what to go on from. */
bool searching_arrivals(struct searching *searching);

/* Appends an event as an object of an API, with what is worked out when it is shown. */
void searching_event(GString *out, const struct event *event, enum api_generation api);

#endif
