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
