noinst_LIBRARIES += libbase.a
libbase_a_SOURCES = \
	base/clock.c base/clock.h \
	base/error.c base/error.h \
	base/digest.h \
	base/glob.c base/glob.h \
	base/gunzip.c base/gunzip.h \
	base/log.c base/log.h \
	base/slice.c base/slice.h \
	base/visible.c base/visible.h \
	base/word.c base/word.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_base tests/unit/test_gunzip
TESTS += tests/unit/test_base tests/unit/test_gunzip
tests_unit_test_base_SOURCES = tests/unit/test_base.c tests/support/unit.h
tests_unit_test_base_LDADD = libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_gunzip_SOURCES = tests/unit/test_gunzip.c tests/support/pack.h tests/support/unit.h
tests_unit_test_gunzip_LDADD = libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
