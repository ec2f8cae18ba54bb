#include "capture/ingest_queue.h"

#include "base/clock.h"

#define AGAIN_S 3 /* after the first try; twice as long after each one more */
#define AGAIN_MOST_S 60

void ingest_waiting_free(struct ingest_waiting *waiting)
{
	g_free(waiting->id);
	g_free(waiting);
}

static void free_one(gpointer waiting)
{
	ingest_waiting_free(waiting);
}

void ingest_queue_init(struct ingest_queue *queue)
{
	*queue = (struct ingest_queue){.batches = g_sequence_new(free_one)};
}

void ingest_queue_clear(struct ingest_queue *queue)
{
	g_clear_pointer(&queue->batches, g_sequence_free);
}

static gint compare(gconstpointer a, gconstpointer b, gpointer data)
{
	const struct ingest_waiting *x = a, *y = b;

	(void)data;
	return (x->due > y->due) - (x->due < y->due);
}

void ingest_queue_add(struct ingest_queue *queue, const char *id)
{
	struct ingest_waiting *waiting = g_new0(struct ingest_waiting, 1);

	waiting->id = g_strdup(id);
	waiting->since = clock_now();
	waiting->due = g_get_monotonic_time();
	g_sequence_insert_sorted(queue->batches, waiting, compare, NULL);
}

void ingest_queue_again(struct ingest_queue *queue, struct ingest_waiting *waiting)
{
	gint64 seconds = MIN(AGAIN_S << MIN(waiting->tries, 8), AGAIN_MOST_S);

	waiting->tries++;
	waiting->due = g_get_monotonic_time() + seconds * G_TIME_SPAN_SECOND;
	g_sequence_insert_sorted(queue->batches, waiting, compare, NULL);
	queue->failed++;
}

gint64 ingest_queue_due(const struct ingest_queue *queue)
{
	GSequenceIter *first = g_sequence_get_begin_iter(queue->batches);

	if (g_sequence_iter_is_end(first))
		return INT64_MAX;
	const struct ingest_waiting *waiting = g_sequence_get(first);
	return waiting->due;
}

struct ingest_waiting *ingest_queue_take(struct ingest_queue *queue)
{
	GSequenceIter *first = g_sequence_get_begin_iter(queue->batches);
	const struct ingest_waiting *waiting = g_sequence_get(first);
	struct ingest_waiting *copy = g_memdup2(waiting, sizeof(*waiting));

	copy->id = g_strdup(waiting->id);
	queue->failed -= waiting->tries > 0;
	g_sequence_remove(first);
	return copy;
}
