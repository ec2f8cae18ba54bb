# Samples that are installed for copying, and the two commands that only a source tree has.
dist_pkgdata_DATA += contrib/postwake.conf.sample contrib/sendmail/postwake.m4

# systemd looks below /usr/lib and /usr/local/lib for all three.
if SYSTEMD
systemdsystemunitdir = $(prefix)/lib/systemd/system
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_systemdsystemunit_DATA = contrib/systemd/postwaked.service
dist_sysusers_DATA = contrib/systemd/sysusers.d/postwake.conf
dist_tmpfiles_DATA = contrib/systemd/tmpfiles.d/postwake.conf
endif
CLEANFILES += contrib/systemd/postwaked.service
contrib/systemd/postwaked.service: $(srcdir)/contrib/systemd/postwaked.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) contrib/systemd && \
		$(SED) 's,[@]sbindir[@],$(sbindir),' $(srcdir)/contrib/systemd/postwaked.service.in >$@

EXTRA_DIST += SECURITY.md .ci/run \
	contrib/systemd/postwaked.service.in \
	contrib/lib.sh \
	contrib/packages.debian \
	contrib/postfix/report.master.cf \
	contrib/sendmail/report.aliases \
	contrib/quickstart \
	contrib/quickstart.d/show.py \
	contrib/test
