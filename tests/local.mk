# Tests that are no C programs; the unit tests stand in the fragments of their folders.
TEST_EXTENSIONS = .py .sh
PY_LOG_COMPILER = python3 -B
SH_LOG_COMPILER = sh
AM_TESTS_ENVIRONMENT = \
	top_srcdir='$(abs_top_srcdir)'; top_builddir='$(abs_top_builddir)'; \
	export top_srcdir top_builddir;

TESTS += tests/gate.sh tests/golden/check_golden.py tests/golden/check_sendmail.py \
	tests/golden/check_fields.py \
	tests/golden/check_relay.py tests/golden/check_reports.py tests/golden/check_mails.py \
	tests/golden/check_corpora.py tests/golden/check_replies.py tests/golden/check_classify.py

EXTRA_DIST += tests/gate.sh tests/golden/postfix tests/golden/sendmail tests/golden/replies \
	tests/golden/reports tests/flow \
	tests/bench/README.md tests/bench/store.md tests/bench/run.py tests/bench/frame.py tests/bench/bench_daemon.py \
	tests/bench/bench_log.py tests/bench/bench_milter.py tests/bench/bench_programs.py \
	tests/bench/bench_upload.py tests/fault \
	tests/golden/check_classify.py \
	tests/golden/check_corpora.py \
	tests/golden/check_fields.py \
	tests/golden/check_golden.py \
	tests/golden/check_mails.py \
	tests/golden/check_relay.py \
	tests/golden/check_replies.py \
	tests/golden/check_reports.py \
	tests/golden/check_sendmail.py \
	tests/golden/golden.py \
	tests/support/journald.py tests/support/lab.py \
	tests/support/no_jit.c tests/support/sandbox.py tests/support/sendmail.py tests/support/tally.py \
	tests/support/tsan.supp tests/support/tsan_glib.c tests/support/valgrind.supp \
	tests/instrumented tests/README.md

# Benchmarks: tests/bench/README.md. Not run by `make check`.
bench_needs = tests/bench/genlog tests/bench/bench_client \
	tests/bench/bench_store tests/bench/bench_classify
EXTRA_PROGRAMS = tests/bench/genlog tests/bench/bench_client
CLEANFILES += $(EXTRA_PROGRAMS)
tests_bench_genlog_SOURCES = tests/bench/genlog.c
tests_bench_genlog_LDADD = $(GLIB_LIBS) -lm
tests_bench_bench_client_SOURCES = tests/bench/bench_client.c
tests_bench_bench_client_LDADD = $(GLIB_LIBS)
if HAVE_LIBMILTER
bench_needs += tests/bench/noop_milter
EXTRA_PROGRAMS += tests/bench/noop_milter
tests_bench_noop_milter_SOURCES = tests/bench/noop_milter.c
tests_bench_noop_milter_LDADD = -lmilter
endif

.PHONY: bench bench-full
bench: all $(bench_needs)
	python3 -B $(srcdir)/tests/bench/run.py --build .
bench-full: all $(bench_needs)
	python3 -B $(srcdir)/tests/bench/run.py --build . --full

# The long form of what contrib/test does shortly, for a build without sanitizers: hours. Ended and begun again it goes on
# behind the seeds that passed (torture.passed). A seed that fails is run again by tests/fault/torture.py --first SEED
# --seeds 1. Run as root, so that a file system can be mounted that uses inodes again.
TORTURE_SEEDS = 2000
.PHONY: torture torture-logs torture-power torture-fuzz
torture: torture-logs torture-power torture-fuzz longrun check-tsan check-valgrind
torture-logs: postwake postwaked
	python3 -B $(srcdir)/tests/fault/torture.py --build . --self-test --seeds $(TORTURE_SEEDS) --resume torture.passed
	python3 -B $(srcdir)/tests/fault/torture.py --build . --seeds 20 --first 100000 --lines 200000 --resume torture.passed
	python3 -B $(srcdir)/tests/fault/logrotate.py --build . --seeds 1400
	python3 -B $(srcdir)/tests/fault/milter_torture.py --build . --self-test --seeds 200
torture-power:
	$(MAKE) tests/unit/test_store_power
	POWER_SEEDS=10000 CK_TIMEOUT_MULTIPLIER=100 tests/unit/test_store_power
torture-fuzz:
	$(srcdir)/tests/fuzz/run --seconds 660

# Half an hour of mail through a real Postfix, and nothing may grow (as root; tests/README.md).
.PHONY: longrun check-tsan check-valgrind
longrun: postwake postwaked
	python3 -B $(srcdir)/tests/fault/longrun.py --build .
# Each makes a build of its own below here.
check-tsan:
	$(srcdir)/tests/instrumented tsan
check-valgrind:
	$(srcdir)/tests/instrumented valgrind
