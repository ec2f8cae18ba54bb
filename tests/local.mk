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
	tests/bench/genlog.py tests/bench/import \
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
	tests/support/lab.py \
	tests/support/sendmail.py \
	tests/support/tally.py
