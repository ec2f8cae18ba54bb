# Samples that are installed for copying, and the two commands that only a source tree has.
dist_pkgdata_DATA += contrib/postwake.conf.sample contrib/systemd/postwaked.service \
	contrib/sendmail/postwake.m4

EXTRA_DIST += SECURITY.md .ci/run \
	contrib/lib.sh \
	contrib/packages.debian \
	contrib/postfix/report.master.cf \
	contrib/sendmail/report.aliases \
	contrib/quickstart \
	contrib/quickstart.d/show.py \
	contrib/test
