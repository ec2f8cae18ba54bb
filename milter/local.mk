noinst_LIBRARIES += libmilter_pw.a
libmilter_pw_a_SOURCES = \
	milter/attributes.c milter/attributes.h \
	milter/header_map.c milter/header_map.h \
	milter/listener.c milter/listener.h \
	milter/passing.c milter/passing.h \
	milter/session.c milter/session.h \
	milter/socket.c milter/socket.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_session tests/unit/test_header_map tests/unit/test_listener \
	tests/unit/test_passing
TESTS += tests/unit/test_session tests/unit/test_header_map tests/unit/test_listener \
	tests/unit/test_passing
tests_unit_test_passing_SOURCES = tests/unit/test_passing.c tests/support/unit.h
tests_unit_test_passing_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_session_SOURCES = tests/unit/test_session.c tests/support/unit.h
tests_unit_test_session_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_header_map_SOURCES = tests/unit/test_header_map.c tests/support/unit.h
tests_unit_test_header_map_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) \
	$(CHECK_LIBS)
tests_unit_test_listener_SOURCES = tests/unit/test_listener.c tests/support/milter_driver.c \
	tests/support/milter_driver.h tests/support/unit.h
tests_unit_test_listener_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) \
	$(CHECK_LIBS)
endif

FUZZ_HEADERS_FILES = \
	tests/fuzz/fuzz_headers.c milter/session.c milter/attributes.c milter/header_map.c \
	milter/passing.c mime/headers.c base/error.c base/slice.c
EXTRA_DIST += tests/fuzz/fuzz_headers.c
CLEANFILES += tests/fuzz/fuzz_headers

fuzz: tests/fuzz/fuzz_headers
tests/fuzz/fuzz_headers: $(FUZZ_HEADERS_FILES)
	$(MKDIR_P) tests/fuzz
	$(FUZZ_CC) $(FUZZ_FLAGS) $(DEFS) $(AM_CPPFLAGS) $(GMIME_CFLAGS) $(JANSSON_CFLAGS) -o $@ \
		$(FUZZ_HEADERS_FILES:%=$(srcdir)/%) $(GMIME_LIBS) $(JANSSON_LIBS)
