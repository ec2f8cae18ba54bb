# Following files and the journal: adds to liblogtail_a_SOURCES.
