noinst_LIBRARIES += libmilter_pw.a
libmilter_pw_a_SOURCES = \
	milter/attributes.c milter/attributes.h \
	milter/header_map.c milter/header_map.h \
	milter/listener.c milter/listener.h \
	milter/packet.c milter/packet.h \
	milter/passing.c milter/passing.h \
	milter/peer.c milter/peer.h \
	milter/session.c milter/session.h \
	milter/socket.c milter/socket.h \
	milter/waiters.c milter/waiters.h

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_session tests/unit/test_header_map tests/unit/test_listener \
	tests/unit/test_packet tests/unit/test_passing tests/unit/test_peer
TESTS += tests/unit/test_session tests/unit/test_header_map tests/unit/test_listener \
	tests/unit/test_packet tests/unit/test_passing tests/unit/test_peer
tests_unit_test_packet_SOURCES = tests/unit/test_packet.c tests/support/unit.h
tests_unit_test_packet_LDADD = libmilter_pw.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_peer_SOURCES = tests/unit/test_peer.c tests/support/unit.h
tests_unit_test_peer_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_passing_SOURCES = tests/unit/test_passing.c tests/unit/session_steps.h tests/support/unit.h
tests_unit_test_passing_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_session_SOURCES = tests/unit/test_session.c tests/unit/session_steps.h tests/support/unit.h
tests_unit_test_session_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_header_map_SOURCES = tests/unit/test_header_map.c tests/support/unit.h
tests_unit_test_header_map_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) \
	$(CHECK_LIBS)
tests_unit_test_listener_SOURCES = tests/unit/test_listener.c tests/support/milter_driver.c \
	tests/support/milter_driver.h tests/support/unit.h
tests_unit_test_listener_LDADD = libmilter_pw.a libmime.a libbase.a $(PW_EXTERNAL_LIBS) \
	$(CHECK_LIBS)
endif
