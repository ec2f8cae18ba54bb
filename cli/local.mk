noinst_LIBRARIES += libcli.a
libcli_a_SOURCES = \
	cli/ahead.c cli/ahead.h \
	cli/backup.c \
	cli/check.c \
	cli/classify.c \
	cli/cli.h \
	cli/client.c cli/client.h \
	cli/common.c \
	cli/erase.c \
	cli/events.c \
	cli/filter.c cli/filter.h \
	cli/follow.c \
	cli/http.c cli/http.h \
	cli/import.c \
	cli/input.c cli/input.h \
	cli/key.c \
	cli/mail.c cli/mail.h \
	cli/parse.c \
	cli/print.c cli/print.h \
	cli/progress.c cli/progress.h \
	cli/proof.c cli/proof.h \
	cli/prune.c \
	cli/reclassify.c \
	cli/report.c \
	cli/search.c \
	cli/show.c \
	cli/sse.c cli/sse.h \
	cli/status.c \
	cli/upload.c \
	cli/when.c cli/when.h

bin_PROGRAMS += postwake
postwake_SOURCES = cli/main.c
postwake_LDADD = libcli.a libdaemon.a $(PW_LIBS) $(PW_EXTERNAL_LIBS)

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_cli tests/unit/test_server_report
TESTS += tests/unit/test_cli tests/unit/test_server_report
# Asks the server by the command's HTTP client.
tests_unit_test_server_report_SOURCES = tests/unit/test_server_report.c tests/support/unit.h
tests_unit_test_server_report_LDADD = libcli.a $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c tests/support/unit.h
tests_unit_test_cli_LDADD = libcli.a libdaemon.a $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
