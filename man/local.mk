dist_man_MANS += \
	man/postwake.1 \
	man/postwake-backup.1 \
	man/postwake-check.1 \
	man/postwake-classify.1 \
	man/postwake-erase.1 \
	man/postwake-events.1 \
	man/postwake-follow.1 \
	man/postwake-import.1 \
	man/postwake-key.1 \
	man/postwake-parse.1 \
	man/postwake-prune.1 \
	man/postwake-reclassify.1 \
	man/postwake-report.1 \
	man/postwake-search.1 \
	man/postwake-show.1 \
	man/postwake-status.1 \
	man/postwake-upload.1 \
	man/postwake.conf.5 \
	man/postwake-event.5 \
	man/postwake-rules.5 \
	man/postwake-ingest.7 \
	man/postwake-query.7 \
	man/postwaked.8

# Makes the table of postwake-event(5); tests/gate.sh compares.
EXTRA_DIST += man/fields.awk
