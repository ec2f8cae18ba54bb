#include "store/rollup.h"

#include "event/catalogue.h"
#include "store/terms.h"

#define NO_CLASS (-1)

struct cell {
	int64_t type, class, count;
};

void rollup_start(struct rollup *rollup)
{
	rollup->minute = -1;
	if (rollup->cells == NULL)
		rollup->cells = g_array_new(FALSE, FALSE, sizeof(struct cell));
	g_array_set_size(rollup->cells, 0);
}

void rollup_clear(struct rollup *rollup)
{
	g_clear_pointer(&rollup->cells, g_array_unref);
}

static int put(
        struct day_writer *writer, int64_t minute, const struct cell *cell, struct error *err)
{
	sqlite3_stmt *stmt = writer->sql.stmt[DAY_ROLLUP_ADD];

	sqlite3_bind_int64(stmt, 1, minute);
	sqlite3_bind_int64(stmt, 2, cell->type);
	sqlite3_bind_int64(stmt, 3, cell->class);
	sqlite3_bind_int64(stmt, 4, cell->count);
	return sql_run(&writer->sql, stmt, err);
}

int rollup_end(struct rollup *rollup, struct day_writer *writer, struct error *err)
{
	for (guint i = 0; i < rollup->cells->len; i++) {
		const struct cell *cell = &g_array_index(rollup->cells, struct cell, i);
		if (put(writer, rollup->minute, cell, err) < 0)
			return -1;
	}
	g_array_set_size(rollup->cells, 0);
	return 0;
}

/* The class as its index term has it, so that both count the same. */
int64_t rollup_class(const struct event *event)
{
	struct slice text = event->field[FIELD_BOUNCE_CLASS], value;
	char digits[24];

	if (text.p == NULL || !terms_value(VALUE_NUMBER, text, NULL, &value))
		return NO_CLASS;
	memcpy(digits, value.p, value.n);
	digits[value.n] = '\0';
	return (int64_t)g_ascii_strtoull(digits, NULL, 10);
}

int rollup_add(struct rollup *rollup, struct day_writer *writer, int64_t row,
        const struct event *event, struct error *err)
{
	int64_t minute = day_row_ms(row) / CLOCK_MINUTE;
	struct cell one = {event_catalogue[event->type].number, rollup_class(event), 1};

	if (minute != rollup->minute && rollup_end(rollup, writer, err) < 0)
		return -1;
	rollup->minute = minute;
	for (guint i = 0; i < rollup->cells->len; i++) {
		struct cell *cell = &g_array_index(rollup->cells, struct cell, i);
		if (cell->type == one.type && cell->class == one.class) {
			cell->count++;
			return 0;
		}
	}
	g_array_append_val(rollup->cells, one);
	return 0;
}

int rollup_move(struct day_writer *writer, int64_t row, const struct event *before,
        const struct event *after, struct error *err)
{
	int64_t minute = day_row_ms(row) / CLOCK_MINUTE;
	const struct cell from = {event_catalogue[before->type].number, rollup_class(before), -1};
	const struct cell to = {event_catalogue[after->type].number, rollup_class(after), 1};

	return put(writer, minute, &from, err) < 0 || put(writer, minute, &to, err) < 0 ? -1 : 0;
}

int rollup_tidy(struct day_writer *writer, struct error *err)
{
	return sql_exec(&writer->sql, "DELETE FROM rollup WHERE count = 0", err);
}
