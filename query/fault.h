/* The faults of one request, all told in one 400 (contract, 0.1). */
#ifndef PW_QUERY_FAULT_H
#define PW_QUERY_FAULT_H

#include "query/query.h"

struct faults {
	GString *json; /* objects with commas between; NULL = none yet */
};

/* Adds {"param":…,"message":…,"value":…}: `value` as received, after percent-decoding. */
void faults_add(struct faults *faults, struct slice param, struct slice value, const char *format,
        ...) __attribute__((format(printf, 4, 5)));

static inline bool faults_any(const struct faults *faults)
{
	return faults->json != NULL;
}

/* Makes the 400 and empties the record. */
void faults_answer(struct faults *faults, struct query_answer *answer_r);

void faults_clear(struct faults *faults);

#endif
