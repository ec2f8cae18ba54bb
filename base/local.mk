noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/clock.c base/clock.h \
	base/error.c base/error.h \
	base/log.c base/log.h \
	base/slice.c base/slice.h
