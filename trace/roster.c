#include "trace/trace-private.h"

/* Above this many recipients a roster gets an index. */
#define ROSTER_SHORT 16

static guint name_hash_step(guint hash, struct slice part)
{
	for (size_t i = 0; i < part.n; i++)
		hash = (hash ^ (unsigned char)ascii_lower(part.p[i])) * 16777619u;
	return hash;
}

static guint name_hash(struct slice to, struct slice orig_to)
{
	guint hash = name_hash_step(2166136261u, to);

	return orig_to.n > 0 ? name_hash_step((hash ^ 0) * 16777619u, orig_to) : hash;
}

static bool same_name(const struct recipient *recipient, struct slice to, struct slice orig_to)
{
	struct slice name = recipient->name;

	if (orig_to.n == 0)
		return slice_eq_case(name, to);
	return name.n == to.n + 1 + orig_to.n && name.p[to.n] == '\0' &&
	       slice_eq_case(slice_head(name, to.n), to) &&
	       slice_eq_case(slice_from(name, to.n + 1), orig_to);
}

static guint recipient_hash(gconstpointer p)
{
	const struct recipient *recipient = p;

	return recipient->hash;
}

static gboolean recipient_equal(gconstpointer a, gconstpointer b)
{
	const struct recipient *x = a, *y = b;

	return slice_eq(x->name, y->name);
}

static void recipient_free(gpointer p)
{
	struct recipient *recipient = p;

	g_free(recipient->deferral);
	g_free(recipient);
}

/* "to", or "to NUL orig_to", in lower case. */
static struct recipient *recipient_new(struct slice to, struct slice orig_to)
{
	size_t n = to.n + (orig_to.n > 0 ? 1 + orig_to.n : 0);
	struct recipient *recipient = g_malloc0(sizeof(*recipient) + n);
	char *name = recipient->bytes;

	for (size_t i = 0; i < to.n; i++)
		name[i] = ascii_lower(to.p[i]);
	for (size_t i = 0; i < orig_to.n; i++)
		name[to.n + 1 + i] = ascii_lower(orig_to.p[i]);
	recipient->name = slice_make(name, n);
	recipient->hash = name_hash(to, orig_to);
	return recipient;
}

struct recipient *roster_find(const struct roster *roster, struct slice to, struct slice orig_to)
{
	if (roster->index != NULL) {
		struct recipient *wanted = recipient_new(to, orig_to);
		struct recipient *found = g_hash_table_lookup(roster->index, wanted);
		recipient_free(wanted);
		return found;
	}

	unsigned n = roster_size(roster);
	guint hash = n > 0 ? name_hash(to, orig_to) : 0;
	for (unsigned i = 0; i < n; i++) {
		struct recipient *recipient = roster_at(roster, i);
		if (recipient->hash == hash && same_name(recipient, to, orig_to))
			return recipient;
	}
	return NULL;
}

static void roster_add(struct roster *roster, struct recipient *recipient)
{
	if (roster->one == NULL) {
		roster->one = recipient;
		return;
	}
	if (roster->others == NULL)
		roster->others = g_ptr_array_new_full(2, recipient_free);
	g_ptr_array_add(roster->others, recipient);
	if (roster->index != NULL) {
		g_hash_table_add(roster->index, recipient);
	} else if (roster_size(roster) > ROSTER_SHORT) {
		roster->index = g_hash_table_new(recipient_hash, recipient_equal);
		for (unsigned i = 0; i < roster_size(roster); i++)
			g_hash_table_add(roster->index, roster_at(roster, i));
	}
}

struct recipient *roster_take(struct roster *roster, struct slice to, struct slice orig_to)
{
	struct recipient *recipient = roster_find(roster, to, orig_to);

	if (recipient == NULL) {
		recipient = recipient_new(to, orig_to);
		roster_add(roster, recipient);
	}
	return recipient;
}

struct recipient *roster_add_name(struct roster *roster, struct slice name)
{
	struct slice orig_to = name, to = slice_cut(&orig_to, '\0');

	return roster_take(roster, to, orig_to);
}

unsigned roster_size(const struct roster *roster)
{
	return (roster->one != NULL) + (roster->others != NULL ? roster->others->len : 0);
}

struct recipient *roster_at(const struct roster *roster, unsigned i)
{
	return i == 0 ? roster->one : roster->others->pdata[i - 1];
}

void roster_clear(struct roster *roster)
{
	g_clear_pointer(&roster->index, g_hash_table_unref);
	g_clear_pointer(&roster->others, g_ptr_array_unref);
	g_clear_pointer(&roster->one, recipient_free);
}

uint32_t recipient_try(struct recipient *recipient, int64_t time, uint64_t event_id)
{
	int64_t second = second_of(time);

	if (recipient->n_tries > 0 && second < recipient->second)
		return recipient->earlier; /* stamps stepped back, or an old line again */
	if (second != recipient->second) {
		recipient->earlier += recipient->n_tries;
		recipient->n_tries = 0;
		recipient->second = second;
	}
	for (unsigned i = 0; i < recipient->n_tries; i++)
		if (recipient->tries[i] == event_id)
			return recipient->earlier + i;
	if (recipient->n_tries == G_N_ELEMENTS(recipient->tries)) {
		memmove(recipient->tries, recipient->tries + 1,
		        sizeof(recipient->tries) - sizeof(recipient->tries[0]));
		recipient->n_tries--;
		recipient->earlier++;
	}
	recipient->tries[recipient->n_tries++] = event_id;
	return recipient->earlier + recipient->n_tries - 1;
}

void recipient_deferred(struct recipient *recipient, struct slice to, struct slice orig_to,
        struct slice dsn, struct slice code, struct slice reason)
{
	const struct slice in[] = {to, orig_to, dsn, code, slice_head(reason, TRACE_REASON_MAX)};
	size_t n = 0;

	for (size_t i = 0; i < G_N_ELEMENTS(in); i++)
		n += in[i].n;
	struct deferral *deferral = g_malloc0(sizeof(*deferral) + n);
	struct slice *const out[] = {&deferral->to, &deferral->orig_to, &deferral->dsn,
	        &deferral->code, &deferral->reason};
	char *end = deferral->bytes;
	for (size_t i = 0; i < G_N_ELEMENTS(in); i++) {
		if (in[i].n == 0)
			continue;
		memcpy(end, in[i].p, in[i].n);
		*out[i] = slice_make(end, in[i].n);
		end += in[i].n;
	}
	g_free(recipient->deferral);
	recipient->deferral = deferral;
}

void recipient_settled(struct recipient *recipient)
{
	g_clear_pointer(&recipient->deferral, g_free);
}
