noinst_LIBRARIES += libquery.a
libquery_a_SOURCES = \
	query/access.c query/access.h \
	query/answer.c \
	query/authorization.c query/authorization.h \
	query/budget.c query/budget.h \
	query/connections.c query/connections.h \
	query/door.c query/door.h \
	query/erasures.c \
	query/events.c \
	query/fault.c query/fault.h \
	query/import.c \
	query/flood.c query/flood.h \
	query/gate.c query/gate.h \
	query/ingest.c query/ingest.h \
	query/ingest_params.c query/ingest_params.h \
	query/keys.c query/keys.h \
	query/keys_api.c \
	query/message_events.c \
	query/params.c query/params.h \
	query/query.h query/request.h \
	query/room.c query/room.h \
	query/routes.c \
	query/searching.c query/searching.h \
	query/selfdoc.c \
	query/server.c query/server.h query/server-private.h \
	query/server_door.c \
	query/server_exchange.c query/server_framing.c query/server_jobs.c query/server_who.c \
	query/smtpeter.c \
	query/smtpeter_window.c query/smtpeter_window.h \
	query/socket.c query/socket.h \
	query/status.c \
	query/stream.c \
	query/streams.c query/streams.h \
	query/tcp.c \
	query/tls.c query/tls.h \
	query/turns.c query/turns.h \
	query/uploads.c \
	query/uri.c query/uri.h \
	query/window.c query/window.h \
	query/workers.c query/workers.h \
	query/zone.c query/zone.h

if HAVE_CHECK
QUERY_TESTS = tests/unit/test_uri tests/unit/test_zone tests/unit/test_params \
	tests/unit/test_streams tests/unit/test_access tests/unit/test_authorization \
	tests/unit/test_budget tests/unit/test_connections tests/unit/test_workers \
	tests/unit/test_turns tests/unit/test_room tests/unit/test_flood tests/unit/test_gate \
	tests/unit/test_door
check_PROGRAMS += $(QUERY_TESTS)
TESTS += $(QUERY_TESTS)
# These need no store.
QUERY_TEST_LDADD = libquery.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_uri_SOURCES = tests/unit/test_uri.c tests/support/unit.h
tests_unit_test_uri_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_zone_SOURCES = tests/unit/test_zone.c tests/support/unit.h
tests_unit_test_zone_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_params_SOURCES = tests/unit/test_params.c tests/support/unit.h
tests_unit_test_params_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_access_SOURCES = tests/unit/test_access.c tests/support/unit.h
tests_unit_test_access_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_authorization_SOURCES = tests/unit/test_authorization.c tests/support/unit.h
tests_unit_test_authorization_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_budget_SOURCES = tests/unit/test_budget.c tests/support/unit.h
tests_unit_test_budget_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_connections_SOURCES = tests/unit/test_connections.c tests/support/unit.h
tests_unit_test_connections_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_turns_SOURCES = tests/unit/test_turns.c tests/support/unit.h
tests_unit_test_turns_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_workers_SOURCES = tests/unit/test_workers.c tests/support/unit.h
tests_unit_test_workers_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_room_SOURCES = tests/unit/test_room.c tests/support/unit.h
tests_unit_test_room_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_flood_SOURCES = tests/unit/test_flood.c tests/support/unit.h
tests_unit_test_flood_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_gate_SOURCES = tests/unit/test_gate.c tests/support/unit.h
tests_unit_test_gate_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_door_SOURCES = tests/unit/test_door.c tests/support/unit.h
tests_unit_test_door_LDADD = $(QUERY_TEST_LDADD)
tests_unit_test_streams_SOURCES = tests/unit/test_streams.c tests/support/unit.h
tests_unit_test_streams_LDADD = $(QUERY_TEST_LDADD)

QUERY_STORE_TESTS = tests/unit/test_events tests/unit/test_query tests/unit/test_server \
	tests/unit/test_keys tests/unit/test_server_access
check_PROGRAMS += $(QUERY_STORE_TESTS)
TESTS += $(QUERY_STORE_TESTS)
QUERY_STORE_TEST_LDADD = libquery.a libstore.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_events_SOURCES = \
	tests/unit/test_events.c tests/unit/store_support.c tests/unit/store_support.h \
	tests/support/unit.h
tests_unit_test_events_LDADD = $(QUERY_STORE_TEST_LDADD)
tests_unit_test_query_SOURCES = tests/unit/test_query.c tests/support/unit.h
tests_unit_test_query_LDADD = $(QUERY_STORE_TEST_LDADD)
tests_unit_test_server_SOURCES = tests/unit/test_server.c tests/support/unit.h
tests_unit_test_server_LDADD = $(QUERY_STORE_TEST_LDADD)
tests_unit_test_keys_SOURCES = tests/unit/test_keys.c tests/unit/store_support.c \
	tests/unit/store_support.h tests/support/unit.h
tests_unit_test_keys_LDADD = $(QUERY_STORE_TEST_LDADD)
tests_unit_test_server_access_SOURCES = tests/unit/test_server_access.c \
	tests/unit/store_support.c tests/unit/store_support.h tests/support/unit.h
tests_unit_test_server_access_LDADD = $(QUERY_STORE_TEST_LDADD)
endif
