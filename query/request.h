/* What a route's handler gets, and the handlers. */
#ifndef PW_QUERY_REQUEST_H
#define PW_QUERY_REQUEST_H

#include "event/catalogue.h"
#include "query/query.h"
#include "query/uri.h"

struct query_request {
	struct store *store;
	const struct query_config *config; /* and the services in it */
	const struct uri *uri;
	int64_t now;                 /* ms */
	const struct access *access; /* never NULL; its scope goes into each search */
	const char *method;
	struct slice body;
	/* Headers; NULL = absent. */
	const char *content_type, *content_encoding, *last_event_id, *host;
	bool tls;
	const char *tail; /* the segment that a "*" at the end of the route stands for, decoded */
};

typedef void query_handler(const struct query_request *request, struct query_answer *answer_r);

query_handler ingest_post;
query_handler ingest_batch;
query_handler ingest_failures;
query_handler ingest_docs;
query_handler ingest_examples;
query_handler ingest_status;
query_handler message_events_search;
query_handler message_events_documentation;
query_handler message_events_samples;
query_handler events_search;
query_handler events_documentation;
query_handler events_samples;
query_handler events_stream;
query_handler smtpeter_messageid;
query_handler smtpeter_email;
query_handler smtpeter_template;
query_handler smtpeter_tags;
query_handler status_report;
query_handler erasures_list;
query_handler erasures_add;
query_handler uploads_status;
query_handler uploads_show;
query_handler uploads_retry;
query_handler keys_list, keys_add, keys_revoke;

/* Sets what each search of a request has: whose events it may find, and how long it may take. */
void query_limit(const struct query_request *request, struct search *search);

/* What an API tells of its own events: the answers of …/documentation and …/samples. */
void query_documentation(struct query_answer *answer_r, enum api_generation api);
void query_samples(const struct query_request *request, struct query_answer *answer_r,
        enum api_generation api);

/* Makes a 405; `allow` lists the methods that would do. */
void query_answer_method(struct query_answer *answer_r, const char *allow);

/* Charges what the body of an answer has grown to; false when the budget is spent: the answer has
 * become a 503 then, and nothing more may be appended. */
bool query_answer_charge(struct query_answer *answer);

#endif
