/* The rotated files that lie beside a log: which there are, and which is older. */
#ifndef PW_LOGTAIL_ROTATION_H
#define PW_LOGTAIL_ROTATION_H

#include <glib.h>

#include "base/error.h"
#include "base/slice.h"

/* A rotated file. */
struct rotated {
	char *path;
	gboolean packed;   /* named .gz, .bz2, .xz, .zst … */
	gboolean numbered; /* PATH.3: larger is older; else PATH-20260131: larger is newer */
	char *key;         /* the digits of the number or the date */
	guint64 dev, ino;
	gint64 mtime; /* microseconds */
	gint64 size;
};

/* Struct rotated, oldest first: PATH.1, PATH-20260131, PATH.20260131-235959 (postfix logrotate),
 * mail.1.log for mail.log, each also compressed (left out while the plain file is there: the
 * compressor is at work; it is the plain one when shred is). Those beside PATH and those in
 * `folder` (logrotate's olddir: relative to PATH's directory, NULL = none); where PATH is a
 * symbolic link, the same for its target. NULL with *err when a directory cannot be read; one that
 * is not there holds none. */
GPtrArray *rotation_scan(const char *path, const char *folder, struct error *err);

/* The part of the name that tells number or date: ".1", "-20260131"; absent when `name` is not a
 * rotated file of the log `base`. */
struct slice rotation_mark(struct slice base, struct slice name, gboolean *packed_r);

/* Index of the file, or -1. */
int rotation_index(const GPtrArray *rotation, guint64 dev, guint64 ino);

#endif
