noinst_LIBRARIES += libcapture.a
libcapture_a_SOURCES = \
	capture/capture.c capture/capture.h \
	capture/handover.c capture/handover.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_capture
TESTS += tests/unit/test_capture
tests_unit_test_capture_SOURCES = tests/unit/test_capture.c tests/support/unit.h
tests_unit_test_capture_LDADD = $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
