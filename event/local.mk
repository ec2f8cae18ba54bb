noinst_LIBRARIES += libevent.a
libevent_a_SOURCES = \
	event/base52.c event/base52.h \
	event/bounce_class.c event/bounce_class.h \
	event/bounce_rules.c event/bounce_rules.h \
	event/catalogue.c event/catalogue.h \
	event/classify.c event/classify.h \
	event/coding.c event/coding.h \
	event/event.h \
	event/identity.c event/identity.h \
	event/ingest_check.c event/ingest_check.h \
	event/ingest_docs.c event/ingest_docs.h \
	event/ingest_read.c event/ingest_read.h \
	event/ingest_write.c event/ingest_write.h \
	event/json.c event/json.h \
	event/json_geo.c event/json_geo.h \
	event/json_maps.c event/json_maps.h \
	event/json_texts.c event/json_texts.h \
	event/ledger.c event/ledger.h \
	event/lru.c event/lru.h \
	event/mailbox.c event/mailbox.h \
	event/observation.c event/observation.h \
	event/plain.c event/plain.h \
	event/privacy.c event/privacy.h \
	event/pseudonym.c event/pseudonym.h \
	event/pseudonym_text.c event/pseudonym_text.h \
	event/reason_rules.c event/reason_rules.h \
	event/rulefile.c event/rulefile.h \
	event/tags.c event/tags.h

# The rules as C strings; the files themselves are installed for reading.
dist_pkgdata_DATA += schema/bounce-rules schema/reason-rules
EXTRA_DIST += schema/lines2c.sed
BUILT_SOURCES += schema/bounce-rules.inc schema/reason-rules.inc
CLEANFILES += schema/bounce-rules.inc schema/reason-rules.inc

schema/bounce-rules.inc: $(top_srcdir)/schema/bounce-rules $(top_srcdir)/schema/lines2c.sed
	$(AM_V_GEN)$(MKDIR_P) schema && \
	$(SED) -f $(top_srcdir)/schema/lines2c.sed $(top_srcdir)/schema/bounce-rules >$@.tmp && mv $@.tmp $@
schema/reason-rules.inc: $(top_srcdir)/schema/reason-rules $(top_srcdir)/schema/lines2c.sed
	$(AM_V_GEN)$(MKDIR_P) schema && \
	$(SED) -f $(top_srcdir)/schema/lines2c.sed $(top_srcdir)/schema/reason-rules >$@.tmp && mv $@.tmp $@

# `make libevent.a` in a fresh tree does not go through BUILT_SOURCES.
event/classify.$(OBJEXT): schema/bounce-rules.inc schema/reason-rules.inc

if HAVE_CHECK
EVENT_TESTS = \
	tests/unit/test_bounce_class \
	tests/unit/test_catalogue \
	tests/unit/test_classify \
	tests/unit/test_identity \
	tests/unit/test_ingest_check \
	tests/unit/test_ingest_read \
	tests/unit/test_ingest_write \
	tests/unit/test_json \
	tests/unit/test_observation \
	tests/unit/test_mailbox \
	tests/unit/test_pseudonym \
	tests/unit/test_reason \
	tests/unit/test_sources
check_PROGRAMS += $(EVENT_TESTS)
TESTS += $(EVENT_TESTS)
EVENT_TEST_LDADD = libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_bounce_class_SOURCES = tests/unit/test_bounce_class.c tests/support/unit.h
tests_unit_test_bounce_class_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_catalogue_SOURCES = tests/unit/test_catalogue.c tests/support/unit.h
tests_unit_test_catalogue_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_classify_SOURCES = tests/unit/test_classify.c tests/support/unit.h
tests_unit_test_classify_CPPFLAGS = $(AM_CPPFLAGS) -DSOURCE_DIR='"$(abs_top_srcdir)"'
tests_unit_test_classify_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_identity_SOURCES = tests/unit/test_identity.c tests/support/unit.h
tests_unit_test_identity_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_ingest_check_SOURCES = tests/unit/test_ingest_check.c tests/support/unit.h
tests_unit_test_ingest_check_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_ingest_read_SOURCES = tests/unit/test_ingest_read.c tests/support/unit.h
tests_unit_test_ingest_read_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_ingest_write_SOURCES = tests/unit/test_ingest_write.c tests/support/unit.h
tests_unit_test_ingest_write_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_json_SOURCES = tests/unit/test_json.c tests/support/unit.h
tests_unit_test_json_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_observation_SOURCES = tests/unit/test_observation.c tests/support/unit.h
tests_unit_test_observation_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_mailbox_SOURCES = tests/unit/test_mailbox.c tests/support/unit.h
tests_unit_test_mailbox_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_pseudonym_SOURCES = tests/unit/test_pseudonym.c tests/support/unit.h
tests_unit_test_pseudonym_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_reason_SOURCES = tests/unit/test_reason.c tests/support/unit.h
tests_unit_test_reason_LDADD = $(EVENT_TEST_LDADD)
tests_unit_test_sources_SOURCES = tests/unit/test_sources.c tests/support/unit.h
tests_unit_test_sources_LDADD = $(EVENT_TEST_LDADD)
endif

# Not run by `make check`: a benchmark.
check_PROGRAMS += tests/bench/bench_classify
tests_bench_bench_classify_SOURCES = tests/bench/bench_classify.c
tests_bench_bench_classify_LDADD = libevent.a libbase.a $(PW_EXTERNAL_LIBS)
