noinst_LIBRARIES += libcapture.a
libcapture_a_SOURCES = \
	capture/capture.c capture/capture.h \
	capture/erase.c capture/erase.h \
	capture/geo.c capture/geo.h \
	capture/handover.c capture/handover.h \
	capture/ingest.c capture/ingest.h \
	capture/ingest_line.c capture/ingest_line.h \
	capture/ingest_queue.c capture/ingest_queue.h \
	capture/ingest_trouble.c capture/ingest_trouble.h \
	capture/letterhead.c capture/letterhead.h \
	capture/original.c capture/original.h \
	capture/report.c capture/report.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_capture tests/unit/test_capture_erase \
	tests/unit/test_capture_report tests/unit/test_geo tests/unit/test_ingest \
	tests/unit/test_ingest_faults
TESTS += tests/unit/test_capture tests/unit/test_capture_erase tests/unit/test_capture_report \
	tests/unit/test_geo tests/unit/test_ingest \
	tests/unit/test_ingest_faults
tests_unit_test_geo_SOURCES = tests/unit/test_geo.c tests/support/unit.h
tests_unit_test_geo_LDADD = $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
ingest_test_support = tests/support/ingest_box.h tests/support/pack.h tests/support/tree.h \
	tests/support/unit.h
tests_unit_test_ingest_SOURCES = tests/unit/test_ingest.c $(ingest_test_support)
tests_unit_test_ingest_LDADD = $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_ingest_faults_SOURCES = tests/unit/test_ingest_faults.c $(ingest_test_support)
tests_unit_test_ingest_faults_LDADD = $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_capture_erase_SOURCES = tests/unit/test_capture_erase.c $(store_test_support)
tests_unit_test_capture_erase_LDADD = $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_capture_report_SOURCES = tests/unit/test_capture_report.c tests/support/unit.h
tests_unit_test_capture_report_LDADD = $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_capture_SOURCES = tests/unit/test_capture.c tests/support/unit.h
tests_unit_test_capture_LDADD = $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
