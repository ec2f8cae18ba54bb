noinst_LIBRARIES += libmime.a
libmime_a_SOURCES = mime/headers.c mime/headers.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_mime
TESTS += tests/unit/test_mime
tests_unit_test_mime_SOURCES = tests/unit/test_mime.c tests/support/unit.h
tests_unit_test_mime_LDADD = libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
