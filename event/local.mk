noinst_LIBRARIES += libevent.a
libevent_a_SOURCES = \
	event/bounce_class.c event/bounce_class.h \
	event/catalogue.c event/catalogue.h \
	event/event.h \
	event/identity.c event/identity.h \
	event/json.c event/json.h \
	event/observation.h \
	event/reason.c event/reason.h

if HAVE_CHECK
EVENT_TESTS = \
	tests/unit/test_bounce_class \
	tests/unit/test_catalogue \
	tests/unit/test_identity \
	tests/unit/test_json \
	tests/unit/test_reason
check_PROGRAMS += $(EVENT_TESTS)
TESTS += $(EVENT_TESTS)
EVENT_TEST_LDADD = libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_bounce_class_SOURCES = tests/unit/test_bounce_class.c tests/support/unit.h
tests_unit_test_bounce_class_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_catalogue_SOURCES = tests/unit/test_catalogue.c tests/support/unit.h
tests_unit_test_catalogue_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_identity_SOURCES = tests/unit/test_identity.c tests/support/unit.h
tests_unit_test_identity_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_json_SOURCES = tests/unit/test_json.c tests/support/unit.h
tests_unit_test_json_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_reason_SOURCES = tests/unit/test_reason.c tests/support/unit.h
tests_unit_test_reason_LDADD = $(EVENT_TEST_LDADD)
endif

# `make fuzz` builds the fuzz targets (clang with libFuzzer); run them as long as you like, such as
# tests/fuzz/fuzz_json -max_total_time=60.
FUZZ_CC = clang
FUZZ_FLAGS = -std=c17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
FUZZ_JSON_FILES = \
	tests/fuzz/fuzz_json.c event/json.c event/catalogue.c base/clock.c base/slice.c
EXTRA_DIST += tests/fuzz/fuzz_json.c
CLEANFILES += tests/fuzz/fuzz_json

.PHONY: fuzz
fuzz: tests/fuzz/fuzz_json
tests/fuzz/fuzz_json: $(FUZZ_JSON_FILES)
	$(MKDIR_P) tests/fuzz
	$(FUZZ_CC) $(FUZZ_FLAGS) $(DEFS) $(AM_CPPFLAGS) $(GLIB_CFLAGS) $(JANSSON_CFLAGS) -o $@ \
		$(FUZZ_JSON_FILES:%=$(srcdir)/%) $(GLIB_LIBS) $(JANSSON_LIBS)
