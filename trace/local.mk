noinst_LIBRARIES += libtrace.a
libtrace_a_SOURCES = \
	trace/attempt.c \
	trace/build.c \
	trace/config.c \
	trace/hops.c \
	trace/inject.c \
	trace/join.c \
	trace/letter.c \
	trace/message.c \
	trace/reject.c \
	trace/roster.c \
	trace/state.c \
	trace/story.c \
	trace/stream.c \
	trace/trace.c trace/trace.h trace/trace-private.h
