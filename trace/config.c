#include <arpa/inet.h>

#include "trace/trace-private.h"

/* IPv4 as a mapped IPv6 address, so that both compare alike. */
static bool parse_ip(struct slice text, unsigned char ip[16])
{
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	char name[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof(name))
		return false;
	memcpy(name, text.p, text.n);
	name[text.n] = '\0';
	if (strlen(name) != text.n)
		return false;
	if (inet_pton(AF_INET, name, ip + 12) == 1) {
		memcpy(ip, mapped, sizeof(mapped));
		return true;
	}
	return inet_pton(AF_INET6, name, ip) == 1;
}

static bool parse_port(struct slice text, unsigned *port_r)
{
	int64_t value;

	if (!slice_int(text, &value) || value < 1 || value > 65535)
		return false;
	*port_r = (unsigned)value;
	return true;
}

/* PORT or PORT-PORT */
static bool parse_ports(struct slice text, struct relay *relay)
{
	struct slice first = slice_cut(&text, '-');

	if (!parse_port(first, &relay->first))
		return false;
	relay->last = relay->first;
	return text.n == 0 || (parse_port(text, &relay->last) && relay->last >= relay->first);
}

/* IP, [IP], IP:PORTS or [IP]:PORTS */
static bool parse_relay(struct slice word, struct relay *relay)
{
	*relay = (struct relay){.first = 0, .last = 65535};
	if (slice_skip(&word, SLICE("["))) {
		bool closed = slice_chr(word, ']') >= 0;
		struct slice ip = slice_cut(&word, ']');
		if (!closed || !parse_ip(ip, relay->ip))
			return false;
		return word.n == 0 || (slice_skip(&word, SLICE(":")) && parse_ports(word, relay));
	}
	ptrdiff_t colon = slice_rchr(word, ':');
	if (colon < 0 || slice_chr(word, ':') != colon)
		return parse_ip(word, relay->ip); /* IPv6 without brackets has no port */
	return parse_ip(slice_head(word, (size_t)colon), relay->ip) &&
	       parse_ports(slice_from(word, (size_t)colon + 1), relay);
}

/* The next word of a list separated by blanks or commas (`commas`); false at the end. */
static bool next_word(struct slice *text, bool commas, struct slice *word_r)
{
	const char *separators = commas ? " \t\r\n," : " \t\r\n";
	size_t n = 0;

	while (text->n > 0 && strchr(separators, *text->p) != NULL)
		*text = slice_from(*text, 1);
	while (n < text->n && strchr(separators, text->p[n]) == NULL)
		n++;
	*word_r = slice_head(*text, n);
	*text = slice_from(*text, n);
	return n > 0;
}

int relays_parse(GArray *relays, const char *text, struct error *err)
{
	struct slice rest = slice_str(text), word;

	while (next_word(&rest, true, &word)) {
		struct relay relay;
		if (!parse_relay(word, &relay))
			return error_config(err,
			        "internal_relays: \"%.*s\" is no IP, IP:PORT or IP:PORT-PORT",
			        SLICE_ARG(word));
		g_array_append_val(relays, relay);
	}
	return 0;
}

bool relays_hold(const GArray *relays, struct slice ip, struct slice port)
{
	unsigned char bytes[16];
	unsigned number = 0;

	if (relays->len == 0 || !parse_ip(ip, bytes))
		return false;
	if (port.n > 0 && !parse_port(port, &number))
		return false;
	for (guint i = 0; i < relays->len; i++) {
		const struct relay *relay = &g_array_index(relays, struct relay, i);
		if (memcmp(relay->ip, bytes, sizeof(bytes)) == 0 &&
		        (port.n == 0 || (number >= relay->first && number <= relay->last)))
			return true;
	}
	return false;
}

int sending_ips_parse(GArray *sending_ips, const char *text, struct error *err)
{
	struct slice rest = slice_str(text), word;

	while (next_word(&rest, false, &word)) {
		struct slice value = word;
		struct sending_ip entry = {.program = slice_cut(&value, '=')};
		unsigned char ip[16];

		entry.ip = slice_cut(&value, ',');
		entry.pool = value;
		if (entry.program.n == 0 || !parse_ip(entry.ip, ip))
			return error_config(err,
			        "sending_ips: \"%.*s\" is no PROGRAM=IP or PROGRAM=IP,POOL",
			        SLICE_ARG(word));
		g_array_append_val(sending_ips, entry);
	}
	return 0;
}
