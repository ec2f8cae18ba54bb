/* The MTA's side of the milter protocol (version 6), as far as tests of a milter need it. Every
 * failure of the connection ends the test. */
#ifndef PW_TESTS_MILTER_DRIVER_H
#define PW_TESTS_MILTER_DRIVER_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

/* What both Postfix and Sendmail offer. */
#define DRIVER_ACTIONS 0x1ffu
#define DRIVER_STEPS 0x1fffffu

struct milter_driver {
	int fd;
	unsigned actions, steps; /* what the milter wants, after driver_negotiate */
	GString *symbols;        /* its macro lists: "STAGE:names;" … */
	unsigned replies;        /* that came */
	char reply;              /* the last one: 'c', 't', 'y', … */
	GString *data;           /* and its data */
	GString *changes;        /* "name/index=value;" of the header changes before it */
};

/* NULL when the socket does not take the connection. */
struct milter_driver *driver_open(const char *path);
struct milter_driver *driver_open_port(unsigned port); /* of 127.0.0.1 */
void driver_close(struct milter_driver **driver);

void driver_negotiate(struct milter_driver *driver, unsigned actions, unsigned steps);

/* Sends a packet; `data` holds n bytes. */
void driver_send(struct milter_driver *driver, char command, const void *data, size_t n);

/* Macros of a stage ('C', 'H', 'M', 'R', 'E'): name, value, …, NULL. */
void driver_macros(struct milter_driver *driver, char stage, ...);

/* A command, left out when the milter does not want it, and its reply, unless it is silent. */
void driver_connect(struct milter_driver *driver, const char *host, const char *ip, unsigned port);
void driver_helo(struct milter_driver *driver, const char *name);
void driver_mail(struct milter_driver *driver, const char *from);
void driver_rcpt(struct milter_driver *driver, const char *to);
void driver_header(struct milter_driver *driver, const char *name, const char *value);
void driver_body(struct milter_driver *driver, const char *text);
void driver_end(struct milter_driver *driver);
void driver_abort(struct milter_driver *driver);

/* Reads replies up to the one that ends a command; false when none came within `ms`. */
bool driver_wait(struct milter_driver *driver, int ms);

#endif
