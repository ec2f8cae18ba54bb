noinst_LIBRARIES += libupload.a
libupload_a_SOURCES = \
	upload/answer.c upload/answer.h \
	upload/cut.c upload/cut.h \
	upload/http.c upload/http.h \
	upload/key.c upload/key.h \
	upload/pack.c upload/pack.h \
	upload/policy.c upload/policy.h \
	upload/send.c \
	upload/uploader.c upload/uploader.h upload/uploader-private.h \
	upload/verdict.c

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_upload tests/unit/test_upload_http
TESTS += tests/unit/test_upload tests/unit/test_upload_http
tests_unit_test_upload_http_SOURCES = tests/unit/test_upload_http.c tests/support/unit.h
tests_unit_test_upload_http_LDADD = libupload.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_upload_SOURCES = tests/unit/test_upload.c tests/support/unit.h \
	tests/unit/store_support.c tests/unit/store_support.h
tests_unit_test_upload_LDADD = libupload.a libstore.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif

EXTRA_DIST += tests/support/ingest.py tests/support/proxy.py
