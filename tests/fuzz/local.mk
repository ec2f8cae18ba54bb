# Fuzz targets for libFuzzer: tests/fuzz/run builds and runs them, in a tree of its own that is configured for it.
fuzz_targets = \
	tests/fuzz/fuzz_answer \
	tests/fuzz/fuzz_authorization \
	tests/fuzz/fuzz_classify \
	tests/fuzz/fuzz_config \
	tests/fuzz/fuzz_damage \
	tests/fuzz/fuzz_dict \
	tests/fuzz/fuzz_headers \
	tests/fuzz/fuzz_ingest \
	tests/fuzz/fuzz_json \
	tests/fuzz/fuzz_lines \
	tests/fuzz/fuzz_peer \
	tests/fuzz/fuzz_position \
	tests/fuzz/fuzz_pseudonym \
	tests/fuzz/fuzz_query \
	tests/fuzz/fuzz_report \
	tests/fuzz/fuzz_rows \
	tests/fuzz/fuzz_session \
	tests/fuzz/fuzz_tombstone \
	tests/fuzz/fuzz_trace_state
fuzz_headers = tests/fuzz/box.h tests/fuzz/milter.h
EXTRA_DIST += $(fuzz_targets:=.c) $(fuzz_headers) tests/fuzz/run tests/fuzz/seeds.py
CLEANFILES += $(fuzz_targets)
FUZZ_LINK = -fsanitize=fuzzer

.PHONY: fuzz-targets
fuzz-targets: $(fuzz_targets)
$(fuzz_targets): %: $(srcdir)/%.c $(addprefix $(srcdir)/,$(fuzz_headers)) libdaemon.a $(PW_LIBS)
	$(AM_V_CCLD)$(MKDIR_P) tests/fuzz && \
	$(CC) $(DEFS) $(AM_CPPFLAGS) $(AM_CFLAGS) $(CFLAGS) $(FUZZ_LINK) -o $@ $(srcdir)/$@.c \
		libdaemon.a $(PW_LIBS) $(PW_EXTERNAL_LIBS)
