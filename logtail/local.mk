# What reads logs: syslog lines and the MTA dialects (here), files and the journal (follow.mk).
noinst_LIBRARIES += liblogtail.a
liblogtail_a_SOURCES = \
	logtail/field.c logtail/field.h \
	logtail/lines.c logtail/lines.h \
	logtail/loss.c logtail/loss.h \
	logtail/postfix.c logtail/postfix.h \
	logtail/postfix_delivery.c \
	logtail/postfix_reject.c \
	logtail/postfix_rules.c \
	logtail/rule.c logtail/rule.h \
	logtail/sendmail.c logtail/sendmail.h \
	logtail/sendmail_delivery.c \
	logtail/sendmail_reject.c \
	logtail/sendmail_rules.c \
	logtail/stamp.c logtail/stamp.h \
	logtail/syslog.c logtail/syslog.h

include logtail/follow.mk

if HAVE_CHECK
logtail_tests = tests/unit/test_stamp tests/unit/test_syslog tests/unit/test_postfix \
	tests/unit/test_sendmail \
	tests/unit/test_lines tests/unit/test_golden_postfix
check_PROGRAMS += $(logtail_tests)
TESTS += $(logtail_tests)
logtail_test_libs = liblogtail.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_stamp_SOURCES = tests/unit/test_stamp.c tests/support/unit.h
tests_unit_test_stamp_LDADD = $(logtail_test_libs)
tests_unit_test_syslog_SOURCES = tests/unit/test_syslog.c tests/support/unit.h
tests_unit_test_syslog_LDADD = $(logtail_test_libs)
tests_unit_test_postfix_SOURCES = tests/unit/test_postfix.c tests/support/unit.h
tests_unit_test_postfix_LDADD = $(logtail_test_libs)
tests_unit_test_sendmail_SOURCES = tests/unit/test_sendmail.c tests/support/unit.h
tests_unit_test_sendmail_LDADD = $(logtail_test_libs)
tests_unit_test_lines_SOURCES = tests/unit/test_lines.c tests/support/unit.h
tests_unit_test_lines_LDADD = $(logtail_test_libs)
tests_unit_test_golden_postfix_SOURCES = tests/unit/test_golden_postfix.c tests/support/unit.h
tests_unit_test_golden_postfix_CPPFLAGS = $(AM_CPPFLAGS) -DSOURCE_DIR='"$(abs_top_srcdir)"'
tests_unit_test_golden_postfix_LDADD = $(logtail_test_libs)
endif
