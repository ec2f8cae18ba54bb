# logtail: following files, the journal, old logs
liblogtail_a_SOURCES += \
	logtail/follow.c logtail/follow.h \
	logtail/generation.c logtail/generation.h \
	logtail/history.c logtail/history.h \
	logtail/journal.c logtail/journal.h \
	logtail/position.c logtail/position.h \
	logtail/rotation.c logtail/rotation.h \
	logtail/split.c logtail/split.h
