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
