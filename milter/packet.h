/* The milter protocol on the wire: packets of four bytes of length (of what follows, in network
 * order), a command and its data. As Sendmail 8.17 (libmilter/comm.c, include/libmilter/mfdef.h)
 * and Postfix 3.7 (src/milter/milter8.c) speak it. */
#ifndef PW_MILTER_PACKET_H
#define PW_MILTER_PACKET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

#define PACKET_VERSION 6
#define PACKET_VERSION_MIN 2
#define PACKET_DATA_MAX 65535 /* MILTER_MAX_DATA_SIZE; larger ones would have to be negotiated */

enum packet_command {
	PACKET_ABORT = 'A',
	PACKET_BODY = 'B',
	PACKET_CONNECT = 'C',
	PACKET_MACRO = 'D',
	PACKET_END = 'E',
	PACKET_HELO = 'H',
	PACKET_QUIT_NEW = 'K', /* another session follows on the connection */
	PACKET_HEADER = 'L',
	PACKET_MAIL = 'M',
	PACKET_END_OF_HEADER = 'N',
	PACKET_NEGOTIATE = 'O',
	PACKET_QUIT = 'Q',
	PACKET_RCPT = 'R',
	PACKET_DATA = 'T',
	PACKET_UNKNOWN = 'U',
};

enum packet_reply {
	PACKET_CONTINUE = 'c',
	PACKET_CHANGE_HEADER = 'm',
	PACKET_SKIP = 's',
	PACKET_REPLY_CODE = 'y',
};

/* Actions that a milter asks for. */
#define PACKET_ACTIONS_V1 0x0fu /* where the MTA offers nothing */
#define PACKET_MAY_CHANGE_HEADER 0x10u
#define PACKET_MAY_LIST_MACROS 0x100u

/* Steps that the MTA can leave out (NO_), and those that it waits for no reply to (SILENT_). */
#define PACKET_NO_BODY 0x10u
#define PACKET_NO_END_OF_HEADER 0x40u
#define PACKET_SILENT_HEADER 0x80u
#define PACKET_NO_UNKNOWN 0x100u
#define PACKET_NO_DATA 0x200u
#define PACKET_CAN_SKIP 0x400u
#define PACKET_REJECTED_RCPT 0x800u
#define PACKET_SILENT_CONNECT 0x1000u
#define PACKET_SILENT_HELO 0x2000u
#define PACKET_SILENT_MAIL 0x4000u
#define PACKET_SILENT_RCPT 0x8000u
#define PACKET_SILENT_DATA 0x10000u
#define PACKET_SILENT_UNKNOWN 0x20000u
#define PACKET_SILENT_END_OF_HEADER 0x40000u
#define PACKET_SILENT_BODY 0x80000u
#define PACKET_STEPS_V1 0x3fu /* where the MTA offers nothing */

struct packet {
	char command; /* enum packet_command, or whatever came */
	struct slice data;
};

/* Cuts the first packet off *bytes: 1, or 0 when it is not there yet, or -1 when its length is none
 * that may be. */
int packet_cut(struct slice *bytes, struct packet *packet_r);

/* Bytes as they come, which part packets anywhere. Zeroed at first. */
struct packet_stream {
	GByteArray *held; /* the beginning of a packet; NULL = none */
	struct slice rest;
};

/* Adds bytes, which stay the caller's; they must live until packet_stream_keep. */
void packet_stream_add(struct packet_stream *stream, struct slice bytes);
/* As packet_cut; the packet lives until packet_stream_keep. */
int packet_stream_next(struct packet_stream *stream, struct packet *packet_r);
/* Keeps a copy of what was not taken. */
void packet_stream_keep(struct packet_stream *stream);
void packet_stream_clear(struct packet_stream *stream);

/* Data that are texts, each ended by NUL: fills `texts` (const char *, ended by NULL). False when
 * there is none, or the last has no end. */
bool packet_texts(struct slice data, GPtrArray *texts);

/* The value of a macro in a list of names and values, each ended by NUL; NULL when it is not there.
 * Names are the same with {} and without. */
const char *packet_macro(struct slice list, const char *name);

/* The number of four bytes at `offset`, which must be there. */
uint32_t packet_number(struct slice data, size_t offset);

/* Appends a packet. */
void packet_put(GString *out, char command, struct slice data);
void packet_put_number(GString *data, uint32_t number);

#endif
