# logtail: following files, the journal, old logs
liblogtail_a_SOURCES += \
	logtail/follow.c logtail/follow.h \
	logtail/generation.c logtail/generation.h \
	logtail/gunzip.c logtail/gunzip.h \
	logtail/history.c logtail/history.h \
	logtail/journal.c logtail/journal.h \
	logtail/position.c logtail/position.h \
	logtail/rotation.c logtail/rotation.h \
	logtail/second.h \
	logtail/split.c logtail/split.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_follow tests/unit/test_follow_first \
	tests/unit/test_follow_vanish tests/unit/test_follow_rotation \
	tests/unit/test_follow_random tests/unit/test_history tests/unit/test_journal
TESTS += tests/unit/test_follow tests/unit/test_follow_first tests/unit/test_follow_vanish \
	tests/unit/test_follow_rotation tests/unit/test_follow_random \
	tests/unit/test_history tests/unit/test_journal
tests_unit_test_follow_SOURCES = tests/unit/test_follow.c \
	tests/support/log_box.c tests/support/log_box.h \
	tests/support/log_box_unit.h tests/support/unit.h
tests_unit_test_follow_LDADD = liblogtail.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_follow_first_SOURCES = tests/unit/test_follow_first.c \
	tests/support/log_box.c tests/support/log_box.h \
	tests/support/log_box_unit.h tests/support/unit.h
tests_unit_test_follow_first_LDADD = $(tests_unit_test_follow_LDADD)
tests_unit_test_follow_vanish_SOURCES = tests/unit/test_follow_vanish.c \
	tests/support/log_box.c tests/support/log_box.h \
	tests/support/log_box_unit.h tests/support/unit.h
tests_unit_test_follow_vanish_LDADD = $(tests_unit_test_follow_LDADD)
tests_unit_test_follow_rotation_SOURCES = tests/unit/test_follow_rotation.c \
	tests/support/log_box.c tests/support/log_box.h \
	tests/support/log_box_unit.h tests/support/unit.h
tests_unit_test_follow_rotation_LDADD = $(tests_unit_test_follow_LDADD)
tests_unit_test_follow_random_SOURCES = tests/unit/test_follow_random.c \
	tests/support/log_box.c tests/support/log_box.h tests/support/unit.h
tests_unit_test_follow_random_LDADD = $(tests_unit_test_follow_LDADD)
tests_unit_test_history_SOURCES = tests/unit/test_history.c tests/support/unit.h
tests_unit_test_history_LDADD = $(tests_unit_test_follow_LDADD)
tests_unit_test_journal_SOURCES = tests/unit/test_journal.c tests/support/unit.h
tests_unit_test_journal_LDADD = $(tests_unit_test_follow_LDADD)
endif
