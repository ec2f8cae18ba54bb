noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/clock.c base/clock.h \
	base/error.c base/error.h \
	base/log.c base/log.h \
	base/slice.c base/slice.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_base
TESTS += tests/unit/test_base
tests_unit_test_base_SOURCES = tests/unit/test_base.c tests/support/unit.h
tests_unit_test_base_LDADD = libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
