/* The files of the spool. */
#ifndef PW_STORE_SPOOL_PRIVATE_H
#define PW_STORE_SPOOL_PRIVATE_H

#include "store/spool.h"

/* Ends of their names, after the id. */
#define SPOOL_BATCH ".batch"
#define SPOOL_FAILURES ".failures"
#define SPOOL_MAKING ".new"

#endif
