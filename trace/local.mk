noinst_LIBRARIES += libtrace.a
libtrace_a_SOURCES = \
	trace/attempt.c \
	trace/birth.c trace/birth.h \
	trace/config.c trace/config.h \
	trace/domains.c trace/domains.h \
	trace/draft.c trace/draft.h \
	trace/hops.c trace/hops.h \
	trace/inject.c trace/inject.h \
	trace/join.c trace/join.h \
	trace/letter.c trace/letter.h \
	trace/message.c trace/message.h \
	trace/reject.c \
	trace/roster.c trace/roster.h \
	trace/state.c \
	trace/story.c trace/story.h \
	trace/stream.c trace/stream.h \
	trace/trace.c trace/trace.h trace/trace-private.h

if HAVE_CHECK
TRACE_TESTS = \
	tests/unit/test_domains \
	tests/unit/test_forging \
	tests/unit/test_trace \
	tests/unit/test_trace_join \
	tests/unit/test_trace_sendmail \
	tests/unit/test_trace_state \
	tests/golden/check_mtalab
check_PROGRAMS += $(TRACE_TESTS)
TESTS += $(TRACE_TESTS)
TRACE_TEST_LDADD = libtrace.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
TRACE_TEST_FRAME = tests/unit/trace_script.h tests/support/unit.h
tests_unit_test_domains_SOURCES = tests/unit/test_domains.c tests/support/unit.h
tests_unit_test_domains_LDADD = $(TRACE_TEST_LDADD)
tests_unit_test_forging_SOURCES = tests/unit/test_forging.c $(TRACE_TEST_FRAME)
tests_unit_test_forging_LDADD = libtrace.a liblogtail.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_trace_SOURCES = tests/unit/test_trace.c $(TRACE_TEST_FRAME)
tests_unit_test_trace_LDADD = $(TRACE_TEST_LDADD)
tests_unit_test_trace_join_SOURCES = tests/unit/test_trace_join.c $(TRACE_TEST_FRAME)
tests_unit_test_trace_join_LDADD = $(TRACE_TEST_LDADD)
tests_unit_test_trace_sendmail_SOURCES = tests/unit/test_trace_sendmail.c $(TRACE_TEST_FRAME)
tests_unit_test_trace_sendmail_LDADD = $(TRACE_TEST_LDADD)
tests_unit_test_trace_state_SOURCES = tests/unit/test_trace_state.c $(TRACE_TEST_FRAME)
tests_unit_test_trace_state_LDADD = $(TRACE_TEST_LDADD)
tests_golden_check_mtalab_SOURCES = tests/golden/check_mtalab.c $(TRACE_TEST_FRAME)
tests_golden_check_mtalab_CPPFLAGS = $(AM_CPPFLAGS) -DSOURCE_DIR='"$(abs_top_srcdir)"'
tests_golden_check_mtalab_LDADD = libtrace.a liblogtail.a libmilter_pw.a libmime.a libevent.a libbase.a \
	$(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
