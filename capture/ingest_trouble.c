#include "capture/ingest_trouble.h"

#include <string.h>

#include "store/store.h"

static const struct {
	const char *what, *over;
} table[INGEST_TROUBLES] = {
        [INGEST_TAKES] = {"Events Ingest refuses batches", "batches are taken again"},
        [INGEST_VALIDATES] = {"Events Ingest tries batches again, nothing is dropped",
                "no batch waits for another try any more"},
        [INGEST_EXPIRES] = {"Events Ingest keeps what has expired", "what has expired goes again"},
};

void ingest_troubles_init(struct ingest_troubles *troubles)
{
	pthread_mutex_init(&troubles->lock, NULL);
	for (int i = 0; i < INGEST_TROUBLES; i++)
		troubles->of[i].told = g_hash_table_new(NULL, NULL);
}

void ingest_troubles_clear(struct ingest_troubles *troubles)
{
	for (int i = 0; i < INGEST_TROUBLES; i++) {
		g_clear_pointer(&troubles->of[i].text, g_free);
		g_clear_pointer(&troubles->of[i].told, g_hash_table_unref);
	}
	pthread_mutex_destroy(&troubles->lock);
}

bool ingest_trouble_begin(struct ingest_troubles *troubles, enum ingest_trouble kind,
        const struct error *cause, char **text_r)
{
	const char *mend = store_mend(cause->number);

	*text_r = g_strdup_printf("%s: %s%s%s", table[kind].what, cause->text,
	        mend != NULL && strstr(cause->text, mend) == NULL ? "; " : "",
	        mend != NULL && strstr(cause->text, mend) == NULL ? mend : "");
	pthread_mutex_lock(&troubles->lock);
	g_free(troubles->of[kind].text);
	troubles->of[kind].text = g_strdup(*text_r);
	bool news = g_hash_table_add(troubles->of[kind].told, GINT_TO_POINTER(cause->number));
	pthread_mutex_unlock(&troubles->lock);
	return news;
}

const char *ingest_trouble_end(struct ingest_troubles *troubles, enum ingest_trouble kind)
{
	pthread_mutex_lock(&troubles->lock);
	bool ended = troubles->of[kind].text != NULL;
	g_clear_pointer(&troubles->of[kind].text, g_free);
	g_hash_table_remove_all(troubles->of[kind].told);
	pthread_mutex_unlock(&troubles->lock);
	return ended ? table[kind].over : NULL;
}

char *ingest_trouble_text(struct ingest_troubles *troubles, enum ingest_trouble kind)
{
	pthread_mutex_lock(&troubles->lock);
	char *text = g_strdup(troubles->of[kind].text);
	pthread_mutex_unlock(&troubles->lock);
	return text;
}
