noinst_LIBRARIES += libcapture.a
libcapture_a_SOURCES = \
	capture/capture.c capture/capture.h \
	capture/handover.c capture/handover.h
