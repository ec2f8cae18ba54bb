noinst_LIBRARIES += libdaemon.a
libdaemon_a_SOURCES = \
	daemon/access.c daemon/access.h \
	daemon/config.c daemon/config.h \
	daemon/erase.c daemon/erase.h \
	daemon/health.c daemon/health.h \
	daemon/config_url.c daemon/config_url.h \
	daemon/import.c daemon/import.h \
	daemon/inbound.c daemon/inbound.h \
	daemon/ingest.c daemon/ingest.h \
	daemon/mail.c daemon/mail.h \
	daemon/postconf.c daemon/postconf.h \
	daemon/privileges.c daemon/privileges.h \
	daemon/report.c daemon/report.h \
	daemon/retention.c daemon/retention.h \
	daemon/sources.c daemon/sources.h \
	daemon/trouble.c daemon/trouble.h \
	daemon/upkeep.c daemon/upkeep.h \
	daemon/upload.c daemon/upload.h

sbin_PROGRAMS += postwaked
postwaked_SOURCES = daemon/main.c
postwaked_LDADD = libdaemon.a $(PW_LIBS) $(PW_EXTERNAL_LIBS)

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_config tests/unit/test_health tests/unit/test_inbound \
	tests/unit/test_retention tests/unit/test_trouble
TESTS += tests/unit/test_config tests/unit/test_health tests/unit/test_inbound \
	tests/unit/test_retention tests/unit/test_trouble
tests_unit_test_health_SOURCES = tests/unit/test_health.c $(store_test_support)
tests_unit_test_health_LDADD = libdaemon.a $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_retention_SOURCES = tests/unit/test_retention.c $(store_test_support)
tests_unit_test_retention_LDADD = libdaemon.a $(PW_LIBS) $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_trouble_SOURCES = tests/unit/test_trouble.c tests/support/unit.h
tests_unit_test_trouble_LDADD = libdaemon.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_config_SOURCES = tests/unit/test_config.c tests/support/unit.h
tests_unit_test_config_LDADD = libdaemon.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_inbound_SOURCES = tests/unit/test_inbound.c tests/support/unit.h
tests_unit_test_inbound_LDADD = libdaemon.a libtrace.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
endif
