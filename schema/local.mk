# The truth as data: compiled in by event/ and store/.
EXTRA_DIST += \
	schema/README \
	schema/bounce-classes.def \
	schema/events.def \
	schema/extras.def \
	schema/fields.def \
	schema/mailbox-providers.def \
	schema/ingest.def \
	schema/privacy.def \
	schema/pseudonym.def \
	schema/samples.def \
	schema/search.def \
	schema/sources.def \
	schema/words.def
