#include "daemon/upkeep.h"

#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "daemon/health.h"
#include "event/json.h"

/* ---- what is looked at: 1 when it was put back, 0 when all is well, -1 with *err ---- */

static int look_at_lock(struct upkeep *upkeep, struct error *err)
{
	return store_keep_lock(upkeep->store, err);
}

static int look_at_key(struct upkeep *upkeep, struct error *err)
{
	return store_keep_key(upkeep->store, err);
}

static int look_at_socket(const struct upkept_socket *sock, const char *who, struct error *err)
{
	struct stat st;

	if (sock->path == NULL || (lstat(sock->path, &st) == 0 && st.st_dev == sock->device &&
	                                  st.st_ino == sock->inode))
		return 0;
	return error_set(err,
	        "the socket %s was deleted or replaced, and %s any more: restart postwaked",
	        sock->path, who);
}

static int look_at_query(struct upkeep *upkeep, struct error *err)
{
	return look_at_socket(&upkeep->query, "no command reaches postwaked", err);
}

static int look_at_milter(struct upkeep *upkeep, struct error *err)
{
	return look_at_socket(&upkeep->milter, "the milter sees no mail", err);
}

static const struct {
	int (*look)(struct upkeep *upkeep, struct error *err);
	const char *back; /* told when it was put back */
} table[UPKEPT] = {
        [UPKEPT_LOCK] = {look_at_lock,
                "the file lock of the store was deleted, and is there again: no other process "
                "wrote meanwhile"},
        [UPKEPT_KEY] = {look_at_key,
                "the key of the pseudonyms was deleted, and is there again: it was in memory"},
        [UPKEPT_QUERY] = {look_at_query, NULL},
        [UPKEPT_MILTER] = {look_at_milter, NULL},
};

/* ---- its life ---- */

static void note_socket(struct upkept_socket *sock, const char *path)
{
	struct stat st;

	if (path == NULL || lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return;
	*sock = (struct upkept_socket){path, st.st_dev, st.st_ino};
}

void upkeep_begin(struct upkeep *upkeep, const struct config *config, struct store *store)
{
	upkeep->store = store;
	note_socket(&upkeep->query, config->query_socket);
	/* unix:/path, local:/path or /path */
	if (config->milter)
		note_socket(&upkeep->milter, strchr(config->milter_socket, '/'));
}

void upkeep_end(struct upkeep *upkeep)
{
	for (int i = 0; i < UPKEPT; i++)
		g_clear_pointer(&upkeep->trouble[i], g_free);
}

static void set_trouble(struct upkeep *upkeep, int what, const char *text)
{
	g_mutex_lock(&upkeep->lock);
	g_autofree char *before = upkeep->trouble[what];
	upkeep->trouble[what] = g_strdup(text);
	g_mutex_unlock(&upkeep->lock);
	if (before == NULL && text != NULL)
		log_error(NULL, "%s", text);
	else if (before != NULL && text == NULL)
		log_info(NULL, "this is over: %s", before);
}

void upkeep_look(struct upkeep *upkeep, struct capture *capture, int64_t now)
{
	for (int i = 0; i < UPKEPT; i++) {
		struct error err = {0};
		int result = table[i].look(upkeep, &err);
		if (result == 1) {
			log_warning("store", "%s", table[i].back);
			health_gap(capture, now, now, table[i].back);
		}
		set_trouble(upkeep, i, result < 0 ? err.text : NULL);
	}
}

void upkeep_status(struct upkeep *upkeep, GString *out)
{
	g_autoptr(GString) texts = g_string_new(NULL);

	g_mutex_lock(&upkeep->lock);
	for (int i = 0; i < UPKEPT; i++) {
		if (upkeep->trouble[i] == NULL)
			continue;
		g_string_append_c(texts, texts->len == 0 ? '[' : ',');
		json_quote(texts, slice_str(upkeep->trouble[i]));
	}
	g_mutex_unlock(&upkeep->lock);
	if (texts->len == 0)
		return;
	json_key(out, "missing");
	g_string_append_printf(out, "%s]", texts->str);
}
