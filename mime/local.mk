noinst_LIBRARIES += libmime.a
libmime_a_SOURCES = \
	mime/headers.c mime/headers.h \
	mime/report.c mime/report.h mime/report-private.h \
	mime/report_answer.c \
	mime/report_arf.c \
	mime/report_dsn.c \
	mime/report_fields.c \
	mime/report_original.c \
	mime/report_parts.c \
	mime/report_signs.c \
	mime/report_text.c

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_mime tests/unit/test_report
TESTS += tests/unit/test_mime tests/unit/test_report
tests_unit_test_report_SOURCES = tests/unit/test_report.c tests/support/unit.h
tests_unit_test_report_LDADD = libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_mime_SOURCES = tests/unit/test_mime.c tests/support/unit.h
tests_unit_test_mime_LDADD = libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif

# See event/local.mk for FUZZ_CC and how to run; tests/golden/reports are its seeds.
FUZZ_REPORT_FILES = tests/fuzz/fuzz_report.c $(libmime_a_SOURCES) capture/letterhead.c \
	milter/attributes.c milter/header_map.c base/clock.c base/error.c base/slice.c
EXTRA_DIST += tests/fuzz/fuzz_report.c
CLEANFILES += tests/fuzz/fuzz_report

fuzz: tests/fuzz/fuzz_report
tests/fuzz/fuzz_report: $(FUZZ_REPORT_FILES)
	$(MKDIR_P) tests/fuzz
	$(FUZZ_CC) $(FUZZ_FLAGS) $(DEFS) $(AM_CPPFLAGS) $(GLIB_CFLAGS) $(GMIME_CFLAGS) \
		$(JANSSON_CFLAGS) -o $@ $(patsubst %,$(srcdir)/%,$(filter %.c,$(FUZZ_REPORT_FILES))) \
		$(GMIME_LIBS) $(GLIB_LIBS) $(JANSSON_LIBS)
