/* postwake reclassify: stored classes and reasons anew, after a rule changed. */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "event/classify.h"
#include "store/renew.h"

struct reclassify {
	struct classifier *classifier;
	GString *scratch;
};

static bool renew(void *ctx, struct event *event)
{
	struct reclassify *reclassify = ctx;

	return classifier_renew(reclassify->classifier, event, reclassify->scratch);
}

static int renew_store(
        const struct config *config, const char *dir, struct store_renewed *done, struct error *err)
{
	/* Merges what it leaves in the index of ended days, as an import does. */
	const struct store_options options = {.fast_import = true, .notice = cli_notice};
	struct reclassify reclassify = {
	        .classifier = classifier_new(config->bounce_rules, config->reason_rules, err)};
	struct store *store = NULL;
	int result = -1;

	if (reclassify.classifier == NULL)
		return -1;
	reclassify.scratch = g_string_new(NULL);
	if (store_open(&store, dir, STORE_WRITE, &options, err) == 0)
		result = store_renew(store, renew, &reclassify, done, err);
	store_close(&store);
	g_string_free(reclassify.scratch, TRUE);
	classifier_free(&reclassify.classifier);
	return result;
}

int cli_reclassify(struct cli *cli, int argc, char **argv)
{
	struct store_renewed done = {0};
	struct error err = {0};
	const GOptionEntry entries[] = {{NULL}};

	if (!cli_options(entries, "- renew stored classes and reasons after a rule changed", NULL,
	            &argc, &argv))
		return CLI_FAILED;
	if (argc > 1)
		return cli_fail("reclassify takes no words (see --help): %s", argv[1]);
	const struct config *config = cli_config(cli, &err);
	if (config == NULL)
		return cli_fail("%s", err.text);
	const char *dir = cli_store(cli, &err);
	if (dir == NULL)
		return cli_fail("%s", err.text);
	if (renew_store(config, dir, &done, &err) < 0) {
		if (err.number == EWOULDBLOCK)
			return cli_fail("%s: postwaked holds this store; stop it first", dir);
		if (done.changed > 0)
			cli_fail("%llu event(s) of %llu day(s) were renewed before this:",
			        (unsigned long long)done.changed, (unsigned long long)done.days);
		return cli_fail("%s", err.text);
	}
	printf("%llu of %llu event(s) changed, on %llu day(s)\n", (unsigned long long)done.changed,
	        (unsigned long long)done.events, (unsigned long long)done.days);
	return done.changed > 0 ? CLI_FOUND : CLI_NOTHING;
}
