# What reads logs: syslog lines and the MTA dialects (here), files and the journal (follow.mk).
noinst_LIBRARIES += liblogtail.a
liblogtail_a_SOURCES = \
	logtail/lines.c logtail/lines.h \
	logtail/syslog.c logtail/syslog.h \
	logtail/stamp.c logtail/stamp.h \
	logtail/postfix.c logtail/postfix.h

include logtail/follow.mk
