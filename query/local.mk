noinst_LIBRARIES += libquery.a
libquery_a_SOURCES = \
	query/connections.c query/connections.h \
	query/fault.c query/fault.h \
	query/message_events.c \
	query/params.c query/params.h \
	query/query.h query/request.h \
	query/routes.c \
	query/server.c query/server.h \
	query/socket.c query/socket.h \
	query/status.c \
	query/uri.c query/uri.h \
	query/window.c query/window.h \
	query/workers.c query/workers.h \
	query/zone.c query/zone.h
