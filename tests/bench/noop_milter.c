/* noop_milter SOCKET: the least that a milter can do, to compare with: it asks for no step that the
 * MTA can leave out and answers what remains. */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <sys/stat.h>

#define OFF \
	(SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY | \
	        SMFIP_NOUNKNOWN | SMFIP_NODATA)
#define SILENT (SMFIP_NR_MAIL | SMFIP_NR_RCPT)

static sfsistat negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
        unsigned long f2, unsigned long f3, unsigned long *actions_r, unsigned long *steps_r,
        unsigned long *f2_r, unsigned long *f3_r)
{
	(void)ctx;
	(void)actions;
	(void)f2;
	(void)f3;
	*actions_r = 0;
	*steps_r = steps & (OFF | SILENT);
	*f2_r = *f3_r = 0;
	return SMFIS_CONTINUE;
}

static sfsistat silent(SMFICTX *ctx, char **words)
{
	(void)ctx;
	(void)words;
	return SMFIS_NOREPLY;
}

static sfsistat end(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

int main(int argc, char **argv)
{
	static char name[] = "noop";
	struct smfiDesc milter = {.xxfi_name = name,
	        .xxfi_version = SMFI_VERSION,
	        .xxfi_envfrom = silent,
	        .xxfi_envrcpt = silent,
	        .xxfi_eom = end,
	        .xxfi_negotiate = negotiate};

	if (argc != 2) {
		fprintf(stderr, "usage: noop_milter unix:PATH\n");
		return 2;
	}
	umask(0);
	if (smfi_register(milter) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
