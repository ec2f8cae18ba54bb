/* The configuration file (GKeyFile syntax): every key with its type, default and range stands in
 * one table in config.c; postwake.conf(5) describes them. */
#ifndef PW_DAEMON_CONFIG_H
#define PW_DAEMON_CONFIG_H

#include <glib.h>
#include <stdbool.h>

#include "base/error.h"

/* One [source NAME] group: a log to follow. */
struct config_source {
	char *name;
	char *file;     /* path, or NULL for the journal */
	char *rotated;  /* where rotated files lie besides its directory, or NULL */
	char *journal;  /* "system", or a journal file or directory; NULL for a file */
	char *users;    /* journal: trusted senders besides root */
	bool unchecked; /* journal file: also entries whose sender nobody vouches for */
	char *zone;
	char *node;
	char *instance;
	bool from_start; /* without a position: begin at the start of the log */
};

/* One [access NAME] group: who may do what on the socket; query/access.h explains the texts. */
struct config_access {
	char *name;
	char *users;
	char *groups;
	char *grants;
	char *domains;
	char *subaccounts;
};

/* One [upload NAME] group: where events are uploaded to. */
struct config_upload {
	char *name;
	char *url;  /* without what follows the host and port, or with a path before /api/v1 */
	char *kind; /* "sparkpost" or "postwake" */
	char *key_file;
	char *ca_file;
	char *proxy;
	char *events; /* lists, blank or comma separated; NULL = all */
	char *domains;
	char *subaccounts;
	bool privacy;
	bool from_start;
	int outbox_max; /* MB */
	int bandwidth;  /* KB a second; 0 = no limit */
	int timeout;    /* s */
	int interval;   /* s */
	int poll;       /* s */
};

struct config {
	char *path; /* of the file that was read; NULL = built-in defaults */
	char *store;
	char *user; /* that postwaked becomes; NULL = it stays who it is */
	int keep_days;
	int max_size; /* MB; 0 = no limit */
	bool pseudonymise;
	char *node; /* NULL = host name without domain, lower case */
	char *customer_id;
	char *subaccount_id;
	char *internal_relays;
	char *sending_ips;
	char *relay_domains; /* daemon/inbound.h; NULL = all mail is outbound */
	char *follow;        /* "auto": where no [source …] is given, the usual log; "none" */
	char *log;           /* "stderr" or "syslog" */
	bool debug;

	bool milter;
	char *milter_socket;
	char *milter_group;
	int milter_mode;
	char *milter_on_failure;   /* "accept" or "tempfail" */
	int milter_commit_timeout; /* ms */
	char *milter_instance;
	bool milter_remove_header;
	char *milter_header_map;
	bool milter_reports;         /* reports are taken from the mails that pass */
	char *milter_postfix_config; /* directory for postconf -c; NULL = Postfix's default */
	bool milter_check_postfix;

	char *query_socket;
	char *query_group;
	int query_mode;
	int query_threads;
	int query_window;    /* minutes */
	int ingest_max_age;  /* minutes; 0 = no limit */
	int ingest_max_size; /* MB of batches that are kept */
	char *report_users;  /* who may hand over reports; NULL: see postwake.conf(5) */

	char *geoip; /* database; NULL = none */

	char *query_socket_keys; /* "ignored" or "required" */
	int query_key_rate;      /* requests a minute of one key; 0 = no limit */
	int query_key_burst;     /* requests at once */

	int listen_port; /* TCP; 0 = none */
	char *listen_address;
	char *listen_certificate; /* files, PEM; NULL = no TLS */
	char *listen_key;
	bool listen_insecure; /* no TLS also beyond this machine */

	char *report_verp; /* patterns: capture/report.h */
	char *report_unsubscribe;
	char *report_feedback;
	bool report_keep; /* mails, and headers of engagements, for SMTPeter's calls */

	char *bounce_rules; /* files of the user's own rules; NULL = none */
	char *reason_rules;

	GPtrArray *sources;  /* of struct config_source */
	GPtrArray *accesses; /* of struct config_access */
	GPtrArray *uploads;  /* of struct config_upload */
};

/* Reads `path`; NULL = the default path, where a missing file means the defaults. Unknown groups
 * and keys are errors, so that a misspelt key is not silently without effect. */
int config_load(struct config **config_r, const char *path, struct error *err);
void config_free(struct config **config);

#endif
