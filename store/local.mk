noinst_LIBRARIES += libstore.a
libstore_a_SOURCES = \
	store/arrivals.c \
	store/aside.c store/aside.h \
	store/backup.c store/backup.h \
	store/batch.c store/batch.h store/batch-private.h \
	store/birth.c \
	store/bits.h \
	store/cache.c store/cache.h \
	store/check.c store/check.h store/check-private.h store/check_index.c \
	store/clock.c \
	store/commit.c \
	store/control.c store/control.h \
	store/control_read.c \
	store/day.c store/day.h \
	store/day_write.c \
	store/dict.c store/dict.h store/dict_block.c store/dict_block.h \
	store/erase.c store/erase.h store/erase-private.h store/erase_control.c store/erase_day.c \
	store/erase_files.c store/erase_line.c store/erase_line.h \
	store/fetch.c store/fetch.h \
	store/file.c store/file.h \
	store/helper.c store/helper.h \
	store/ids.c store/ids.h \
	store/index.c store/index.h store/index_merge.c store/index_write.c \
	store/ingest.c store/ingest.h store/ingest-private.h \
	store/keys.c store/keys.h \
	store/like.c store/like.h \
	store/match.c store/match.h \
	store/outbox.c store/outbox.h \
	store/outbox_file.c \
	store/pack.c store/pack.h \
	store/piece.c store/piece.h \
	store/plan.c store/plan.h \
	store/private.h \
	store/prune.c \
	store/pseudonym.c store/pseudonym.h \
	store/put.c store/put.h \
	store/rebuild.c \
	store/renew.c store/renew.h \
	store/repair.c \
	store/record.c store/record.h \
	store/rollup.c store/rollup.h \
	store/row.c store/row.h \
	store/salvage.c \
	store/search.c store/search.h \
	store/seconds.c store/seconds.h \
	store/segment.c store/segment.h \
	store/spool.c store/spool.h store/spool-private.h store/spool_clean.c \
	store/sql.c store/sql.h \
	store/store.c store/store.h \
	store/tail.h \
	store/terms.c store/terms.h \
	store/tombstone.c store/tombstone.h \
	store/words.c store/words.h \
	store/writer.c store/writer.h

# The schema as C strings.
store_schema = schema/day_sql.inc schema/control_sql.inc schema/control-2_sql.inc
EXTRA_DIST += schema/day.sql schema/control.sql schema/control-2.sql schema/sql2c.sed
BUILT_SOURCES += $(store_schema)
CLEANFILES += $(store_schema)

schema/day_sql.inc: $(top_srcdir)/schema/day.sql
schema/control_sql.inc: $(top_srcdir)/schema/control.sql
schema/control-2_sql.inc: $(top_srcdir)/schema/control-2.sql
$(store_schema): $(top_srcdir)/schema/sql2c.sed
	$(AM_V_GEN)$(MKDIR_P) schema && \
	$(SED) -f $(top_srcdir)/schema/sql2c.sed \
		$(top_srcdir)/$$(echo $@ | $(SED) 's/_sql.inc$$/.sql/') >$@.tmp && mv $@.tmp $@

# `make libstore.a` in a fresh tree does not go through BUILT_SOURCES.
store/day.$(OBJEXT): schema/day_sql.inc
store/control.$(OBJEXT): schema/control_sql.inc schema/control-2_sql.inc

if HAVE_CHECK
store_tests = \
	tests/unit/test_dict \
	tests/unit/test_erase_files \
	tests/unit/test_ids \
	tests/unit/test_index \
	tests/unit/test_row \
	tests/unit/test_store \
	tests/unit/test_store_backup \
	tests/unit/test_store_check \
	tests/unit/test_store_check_control \
	tests/unit/test_store_commit \
	tests/unit/test_store_crash \
	tests/unit/test_store_erase \
	tests/unit/test_store_power \
	tests/unit/test_store_pseudonym \
	tests/unit/test_store_renew \
	tests/unit/test_store_search \
	tests/unit/test_store_writer \
	tests/unit/test_tombstone
check_PROGRAMS += $(store_tests)
TESTS += $(store_tests)
store_test_support = tests/support/unit.h tests/unit/store_support.c tests/unit/store_support.h
store_test_libs = libstore.a libevent.a libbase.a $(PW_EXTERNAL_LIBS) $(CHECK_LIBS)
tests_unit_test_dict_SOURCES = tests/unit/test_dict.c $(store_test_support)
tests_unit_test_dict_LDADD = $(store_test_libs)
tests_unit_test_erase_files_SOURCES = tests/unit/test_erase_files.c $(store_test_support)
tests_unit_test_erase_files_LDADD = $(store_test_libs)
tests_unit_test_ids_SOURCES = tests/unit/test_ids.c tests/support/unit.h
tests_unit_test_ids_LDADD = $(store_test_libs)
tests_unit_test_index_SOURCES = tests/unit/test_index.c $(store_test_support)
tests_unit_test_index_LDADD = $(store_test_libs)
tests_unit_test_row_SOURCES = tests/unit/test_row.c $(store_test_support)
tests_unit_test_row_LDADD = $(store_test_libs)
tests_unit_test_store_SOURCES = tests/unit/test_store.c $(store_test_support)
tests_unit_test_store_LDADD = $(store_test_libs)
tests_unit_test_store_backup_SOURCES = tests/unit/test_store_backup.c $(store_test_support)
tests_unit_test_store_backup_LDADD = $(store_test_libs)
store_damage_support = tests/unit/store_damage.c tests/unit/store_damage.h $(store_test_support)
tests_unit_test_store_check_SOURCES = tests/unit/test_store_check.c $(store_damage_support)
tests_unit_test_store_check_LDADD = $(store_test_libs)
tests_unit_test_store_check_control_SOURCES = tests/unit/test_store_check_control.c \
	$(store_damage_support)
tests_unit_test_store_check_control_LDADD = $(store_test_libs)
tests_unit_test_store_commit_SOURCES = tests/unit/test_store_commit.c $(store_test_support)
tests_unit_test_store_commit_LDADD = $(store_test_libs)
tests_unit_test_store_pseudonym_SOURCES = tests/unit/test_store_pseudonym.c $(store_test_support)
tests_unit_test_store_pseudonym_LDADD = $(store_test_libs)
tests_unit_test_store_power_SOURCES = tests/unit/test_store_power.c tests/support/power_vfs.c \
	tests/support/power_vfs.h $(store_test_support)
tests_unit_test_store_power_LDADD = $(store_test_libs)
tests_unit_test_store_renew_SOURCES = tests/unit/test_store_renew.c $(store_test_support)
tests_unit_test_store_renew_LDADD = $(store_test_libs)
tests_unit_test_store_erase_SOURCES = tests/unit/test_store_erase.c $(store_test_support)
tests_unit_test_store_erase_LDADD = $(store_test_libs)
tests_unit_test_tombstone_SOURCES = tests/unit/test_tombstone.c $(store_test_support)
tests_unit_test_tombstone_LDADD = $(store_test_libs)
tests_unit_test_store_crash_SOURCES = tests/unit/test_store_crash.c $(store_test_support)
tests_unit_test_store_crash_LDADD = $(store_test_libs)
tests_unit_test_store_search_SOURCES = tests/unit/test_store_search.c $(store_test_support)
tests_unit_test_store_search_LDADD = $(store_test_libs)
tests_unit_test_store_writer_SOURCES = tests/unit/test_store_writer.c $(store_test_support)
tests_unit_test_store_writer_LDADD = $(store_test_libs)
endif

# Not run by `make check`: a benchmark.
check_PROGRAMS += tests/bench/bench_store
tests_bench_bench_store_SOURCES = tests/bench/bench_store.c
tests_bench_bench_store_LDADD = libstore.a libevent.a libbase.a $(PW_EXTERNAL_LIBS)
