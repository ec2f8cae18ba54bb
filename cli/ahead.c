#include "cli/ahead.h"

#include <glib.h>
#include <pthread.h>

#define LOADS 4 /* on their way at most */
/* Observations and bytes of texts of one load: what fits into the cache of a core. */
#define LOAD_SEEN 512
#define LOAD_BYTES (128 << 10)

struct load {
	unsigned n;
	size_t used;
	struct observation seen[LOAD_SEEN];
	char bytes[LOAD_BYTES];
	GPtrArray *large; /* texts that did not fit */
};

struct ahead {
	void (*prepare)(void *ctx, struct observation *seen);
	void (*observed)(void *ctx, const struct observation *seen);
	void *ctx;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Counted since the start; load i is loads[i % LOADS]. */
	unsigned given, taken;
	bool ending;
	struct load *loads;
};

static void load_clear(struct load *load)
{
	load->n = 0;
	load->used = 0;
	g_ptr_array_set_size(load->large, 0);
}

static void *ahead_run(void *arg)
{
	struct ahead *ahead = arg;

	pthread_mutex_lock(&ahead->lock);
	for (;;) {
		while (ahead->taken == ahead->given && !ahead->ending)
			pthread_cond_wait(&ahead->changed, &ahead->lock);
		if (ahead->taken == ahead->given)
			break;
		struct load *load = &ahead->loads[ahead->taken % LOADS];
		pthread_mutex_unlock(&ahead->lock);
		for (unsigned i = 0; i < load->n; i++)
			ahead->observed(ahead->ctx, &load->seen[i]);
		load_clear(load);
		pthread_mutex_lock(&ahead->lock);
		ahead->taken++;
		pthread_cond_signal(&ahead->changed);
	}
	pthread_mutex_unlock(&ahead->lock);
	return NULL;
}

struct ahead *ahead_start(void (*prepare)(void *ctx, struct observation *seen),
        void (*observed)(void *ctx, const struct observation *seen), void *ctx)
{
	struct ahead *ahead = g_new0(struct ahead, 1);

	ahead->prepare = prepare;
	ahead->observed = observed;
	ahead->ctx = ctx;
	ahead->loads = g_new(struct load, LOADS);
	for (unsigned i = 0; i < LOADS; i++) {
		ahead->loads[i].large = g_ptr_array_new_with_free_func(g_free);
		load_clear(&ahead->loads[i]);
	}
	pthread_mutex_init(&ahead->lock, NULL);
	pthread_cond_init(&ahead->changed, NULL);
	if (pthread_create(&ahead->thread, NULL, ahead_run, ahead) != 0)
		g_error("cannot start a thread");
	return ahead;
}

/* Gives the load that is being filled to the thread; what comes next has room then. */
static void ahead_send(struct ahead *ahead)
{
	pthread_mutex_lock(&ahead->lock);
	ahead->given++;
	pthread_cond_signal(&ahead->changed);
	while (ahead->given - ahead->taken == LOADS)
		pthread_cond_wait(&ahead->changed, &ahead->lock);
	pthread_mutex_unlock(&ahead->lock);
}

static char *load_room(struct load *load, size_t n)
{
	if (n <= LOAD_BYTES - load->used) {
		load->used += n;
		return load->bytes + load->used - n;
	}
	char *room = g_malloc(n);
	g_ptr_array_add(load->large, room);
	return room;
}

void ahead_give(void *ctx, const struct observation *seen)
{
	struct ahead *ahead = ctx;
	struct load *load = &ahead->loads[ahead->given % LOADS];
	size_t n = observation_bytes(seen);

	if (load->n == LOAD_SEEN || (load->n > 0 && n > LOAD_BYTES - load->used)) {
		ahead_send(ahead);
		load = &ahead->loads[ahead->given % LOADS];
	}
	observation_copy(&load->seen[load->n], seen, load_room(load, n));
	ahead->prepare(ahead->ctx, &load->seen[load->n++]);
}

void ahead_end(struct ahead **ahead_r)
{
	struct ahead *ahead = *ahead_r;

	ahead_send(ahead);
	pthread_mutex_lock(&ahead->lock);
	ahead->ending = true;
	pthread_cond_signal(&ahead->changed);
	pthread_mutex_unlock(&ahead->lock);
	pthread_join(ahead->thread, NULL);
	for (unsigned i = 0; i < LOADS; i++)
		g_ptr_array_unref(ahead->loads[i].large);
	g_free(ahead->loads);
	pthread_cond_destroy(&ahead->changed);
	pthread_mutex_destroy(&ahead->lock);
	g_clear_pointer(ahead_r, g_free);
}
