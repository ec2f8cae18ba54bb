/* Users who may not connect to a UNIX socket for a while: entries in the ACL of its file. Whatever
 * the server does with a connection comes too late to keep its queue free; this comes before it. */
#ifndef PW_QUERY_GATE_H
#define PW_QUERY_GATE_H

#include <sys/types.h>

struct gate;

/* `path` is the caller's, and stays. */
struct gate *gate_new(const char *path);
/* The file stays as it is. */
void gate_free(struct gate **gate);

/* From now on exactly these may not connect; with none the file's permissions are what they were
 * before the first. -1 with errno: where the file system has no ACLs nobody is shut out. */
int gate_shut(struct gate *gate, const uid_t *users, unsigned n);

#endif
