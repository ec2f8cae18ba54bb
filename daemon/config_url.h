/* The URL of a destination. */
#ifndef PW_DAEMON_CONFIG_URL_H
#define PW_DAEMON_CONFIG_URL_H

/* NULL, or what is wrong with it: https, or http to the machine itself, without user and password
 * (the key has a file). Cuts off what people copy with it: a slash at the end, and /api/v1. */
const char *config_check_url(char **url);

#endif
