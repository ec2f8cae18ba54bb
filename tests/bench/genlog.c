/* genlog MESSAGES [SEED [DAYS [END]]]: a Postfix log on standard output, the same for the same
 * words.
 *
 * The mix of a small provider: about seven lines and two events a message, mostly delivered at
 * once, some deferred once or twice, some bounced, some refused at RCPT. Long queue ids; BSD stamps
 * of UTC, sorted by time over DAYS days before END (a day as YYYY-MM-DD, default: today). */
#include <glib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NODE "mx1"
#define DAY 86400.0
#define DOMAINS 400

static const char base52[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

static const struct {
	const char *host, *ip;
} relays[] = {{"gmail-smtp-in.l.example", "192.0.2.26"}, {"mx00.example.net", "192.0.2.71"},
        {"mail.example.org", "198.51.100.9"}, {"mta5.am0.example", "203.0.113.77"}};

static guint64 state;

/* SplitMix64. */
static guint64 draw(void)
{
	guint64 x = state += G_GUINT64_CONSTANT(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static double fraction(void)
{
	return (double)(draw() >> 11) / (double)(G_GUINT64_CONSTANT(1) << 53);
}

static unsigned below(unsigned n)
{
	return (unsigned)(draw() % n);
}

/* Of the domains few get most. */
static unsigned domain(void)
{
	double rank = pow(1 - fraction(), -1 / 1.1) - 1;

	return rank < DOMAINS - 1 ? (unsigned)rank : DOMAINS - 1;
}

/* ---- lines that wait for their time: a heap ---- */

struct line {
	double time;
	guint64 serial;
	char *text;
};

static GArray *heap;
static guint64 serial;

static gboolean before(const struct line *a, const struct line *b)
{
	return a->time < b->time || (a->time <= b->time && a->serial < b->serial);
}

static struct line *at(guint i)
{
	return &g_array_index(heap, struct line, i);
}

static void exchange(guint i, guint j)
{
	struct line line = *at(i);

	*at(i) = *at(j);
	*at(j) = line;
}

static void later(double time, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void later(double time, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct line line = {time, serial++, g_strdup_vprintf(format, args)};
	va_end(args);
	g_array_append_val(heap, line);
	for (guint i = heap->len - 1; i > 0 && before(at(i), at((i - 1) / 2)); i = (i - 1) / 2)
		exchange(i, (i - 1) / 2);
}

static struct line pop(void)
{
	struct line line = *at(0);

	*at(0) = *at(heap->len - 1);
	g_array_set_size(heap, heap->len - 1);
	for (guint i = 0, child; (child = 2 * i + 1) < heap->len; i = child) {
		if (child + 1 < heap->len && before(at(child + 1), at(child)))
			child++;
		if (!before(at(child), at(i)))
			break;
		exchange(i, child);
	}
	return line;
}

static void print_until(double time)
{
	static char stamp[32];
	static time_t told = -1;

	while (heap->len > 0 && at(0)->time <= time) {
		struct line line = pop();
		time_t second = (time_t)line.time;
		if (second != told) {
			struct tm tm;
			strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", gmtime_r(&second, &tm));
			told = second;
		}
		printf("%s " NODE " %s\n", stamp, line.text);
		g_free(line.text);
	}
}

/* ---- messages ---- */

static char *digits(char *to, guint64 value, int n, unsigned base)
{
	for (int i = n - 1; i >= 0; i--, value /= base)
		to[i] = base52[value % base];
	return to + n;
}

static void queue_id(char id[17], double time)
{
	guint64 second = (guint64)time;
	char *p = digits(id, second, 6, 52);

	p = digits(p, (guint64)((time - (double)second) * 1e6), 4, 52);
	*p++ = 'z';
	*digits(p, draw() % 6765201, 4, 51) = '\0';
}

struct mail {
	unsigned pid, relay;
	char id[17], to[64], domain[32], from[64];
};

static void attempt(const struct mail *mail, double time, double delay, const char *dsn,
        const char *status, const char *text)
{
	later(time,
	        "postfix/smtp[%u]: %s: to=<%s>, relay=%s[%s]:25, delay=%.2g, "
	        "delays=0.01/0.02/0.3/0.2, dsn=%s, status=%s (%s)",
	        mail->pid + 2, mail->id, mail->to, relays[mail->relay].host, relays[mail->relay].ip,
	        delay, dsn, status, text);
}

static void defer(const struct mail *mail, double time, double delay)
{
	const char *host = relays[mail->relay].host, *ip = relays[mail->relay].ip;
	g_autofree char *text = NULL;

	switch (below(3)) {
	case 0:
		text = g_strdup_printf("host %s[%s] said: 451 4.7.1 <%s>: Recipient address "
		                       "rejected: Greylisted, see http://postgrey.example/help/"
		                       "%s.html (in reply to RCPT TO command)",
		        host, ip, mail->to, mail->domain);
		break;
	case 1:
		text = g_strdup_printf("connect to %s[%s]:25: Connection timed out", host, ip);
		break;
	default:
		text = g_strdup_printf("host %s[%s] refused to talk to me: 421 4.7.0 %s too many "
		                       "connections from your IP",
		        host, ip, host);
	}
	attempt(mail, time, delay, "4.7.1", "deferred", text);
}

/* The mail that tells the sender, from its birth to its end. */
static void notify(const struct mail *mail, double time)
{
	char child[17];

	queue_id(child, time);
	later(time, "postfix/cleanup[%u]: %s: message-id=<%s@" NODE ".example>", mail->pid + 1,
	        child, child);
	later(time, "postfix/bounce[%u]: %s: sender non-delivery notification: %s", mail->pid + 3,
	        mail->id, child);
	later(time, "postfix/qmgr[801]: %s: from=<>, size=2900, nrcpt=1 (queue active)", child);
	later(time + 0.3,
	        "postfix/smtp[%u]: %s: to=<%s>, relay=mail.shop.example[192.0.2.5]:25, delay=0.3, "
	        "delays=0/0/0.1/0.2, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as %06X)",
	        mail->pid + 2, child, mail->from, (unsigned)below(1 << 24));
	later(time + 0.3, "postfix/qmgr[801]: %s: removed", child);
}

static void bounce(const struct mail *mail, double time, double delay)
{
	static const char *const replies[] = {
	        "550 5.1.1 <%s>: Recipient address rejected: User unknown in virtual mailbox table "
	        "(in reply to RCPT TO command)",
	        "552 5.2.2 <%s>: user is over quota (in reply to RCPT TO command)",
	        "550 5.7.1 MAIL REFUSED - IP (203.0.113.5) is in black list (in reply to MAIL FROM "
	        "command)",
	};
	const char *reply = replies[below(G_N_ELEMENTS(replies))], *gap = strstr(reply, "%s");
	g_autofree char *text = g_strdup_printf("host %s[%s] said: %.*s%s%s",
	        relays[mail->relay].host, relays[mail->relay].ip,
	        gap != NULL ? (int)(gap - reply) : (int)strlen(reply), reply,
	        gap != NULL ? mail->to : "", gap != NULL ? gap + 2 : "");

	attempt(mail, time, delay, "5.1.1", "bounced", text);
	notify(mail, time);
}

static void refused(const struct mail *mail, double time, unsigned client, unsigned n)
{
	later(time,
	        "postfix/smtpd[%u]: NOQUEUE: reject: RCPT from unknown[192.0.2.%u]: 554 5.7.1 "
	        "Service unavailable; Client host [192.0.2.%u] blocked using zen.example; "
	        "from=<%s> to=<%s> proto=ESMTP helo=<h%u.example>",
	        mail->pid, client, client, mail->from, mail->to, n % 97);
	later(time,
	        "postfix/smtpd[%u]: disconnect from unknown[192.0.2.%u] ehlo=1 mail=1 rcpt=0/1 "
	        "quit=1 commands=3/4",
	        mail->pid, client);
}

static void make(unsigned n, double time)
{
	struct mail mail = {.pid = 1000 + n % 400, .relay = below(G_N_ELEMENTS(relays))};
	unsigned client = below(250), size = 900 + below(89000);
	double start = time;

	g_snprintf(mail.domain, sizeof(mail.domain), "d%u.example", domain());
	g_snprintf(mail.to, sizeof(mail.to), "user%u@%s", below(50000), mail.domain);
	g_snprintf(mail.from, sizeof(mail.from), "news%u@shop%u.example", below(200), below(60));
	later(time, "postfix/smtpd[%u]: connect from unknown[192.0.2.%u]", mail.pid, client);
	if (fraction() < 0.03) {
		refused(&mail, time, client, n);
		return;
	}
	queue_id(mail.id, time);
	later(time, "postfix/smtpd[%u]: %s: client=unknown[192.0.2.%u]", mail.pid, mail.id, client);
	later(time, "postfix/cleanup[%u]: %s: message-id=<%u.%" G_GINT64_MODIFIER "x@shop.example>",
	        mail.pid + 1, mail.id, n, draw() >> 24);
	later(time, "postfix/qmgr[801]: %s: from=<%s>, size=%u, nrcpt=1 (queue active)", mail.id,
	        mail.from, size);
	later(time,
	        "postfix/smtpd[%u]: disconnect from unknown[192.0.2.%u] ehlo=1 mail=1 rcpt=1 "
	        "data=1 "
	        "quit=1 commands=5",
	        mail.pid, client);
	unsigned tries = below(10);
	for (tries = tries > 7 ? tries - 7 : 0; tries > 0; tries--) {
		time += 0.5 + 2.5 * fraction();
		defer(&mail, time, time - start);
		time += 300 + 600 * fraction();
		later(time, "postfix/qmgr[801]: %s: from=<%s>, size=%u, nrcpt=1 (queue active)",
		        mail.id, mail.from, size);
	}
	time += 0.2 + 2.8 * fraction();
	if (fraction() < 0.06) {
		bounce(&mail, time, time - start);
	} else {
		g_autofree char *text = g_strdup_printf(
		        "250 2.0.0 Ok: queued as %" G_GINT64_MODIFIER "X", draw() >> 24);
		attempt(&mail, time, time - start, "2.0.0", "sent", text);
	}
	later(time, "postfix/qmgr[801]: %s: removed", mail.id);
}

static double day_of(const char *text)
{
	struct tm tm = {0};

	if (text == NULL)
		return floor((double)time(NULL) / DAY) * DAY;
	if (strptime(text, "%Y-%m-%d", &tm) == NULL) {
		fprintf(stderr, "genlog: %s is no day as YYYY-MM-DD\n", text);
		exit(2);
	}
	return (double)timegm(&tm);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: genlog MESSAGES [SEED [DAYS [END]]]\n");
		return 2;
	}
	unsigned messages = (unsigned)strtoul(argv[1], NULL, 10);
	double days = argc > 3 ? strtod(argv[3], NULL) : 1;
	double begin = day_of(argc > 4 ? argv[4] : NULL) - days * DAY, span = days * DAY;

	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	heap = g_array_new(FALSE, FALSE, sizeof(struct line));
	for (unsigned n = 0; n < messages; n++) {
		double time = begin + (n + fraction()) * span / messages;
		print_until(time - span / messages);
		make(n, time);
	}
	print_until(begin + span + 365 * DAY);
	g_array_unref(heap);
	return fflush(stdout) == 0 ? 0 : 1;
}
