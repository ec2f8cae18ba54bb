noinst_LIBRARIES += libquery.a
libquery_a_SOURCES = \
	query/fault.c query/fault.h \
	query/message_events.c \
	query/params.c query/params.h \
	query/query.h query/request.h \
	query/routes.c \
	query/status.c \
	query/uri.c query/uri.h \
	query/window.c query/window.h \
	query/zone.c query/zone.h
