#include "daemon/privileges.h"

#include <errno.h>
#include <glib.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

void privileges_begin(void)
{
	close_range(STDERR_FILENO + 1, ~0U, 0);
	umask(0077);
}

static int privileges_become(const struct passwd *user, struct error *err)
{
	if (getuid() == user->pw_uid && geteuid() == user->pw_uid)
		return 0;
	if (initgroups(user->pw_name, user->pw_gid) < 0 ||
	        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) < 0 ||
	        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) < 0)
		return error_errno(err, errno,
		        "[postwake] user = %s: cannot become that user (start postwaked as root, "
		        "or as that user)",
		        user->pw_name);
	return 0;
}

int privileges_drop(const char *user, struct error *err)
{
	if (user != NULL) {
		errno = 0;
		const struct passwd *found = getpwnam(user);
		if (found == NULL && errno != 0)
			return error_errno(err, errno, "[postwake] user = %s", user);
		if (found == NULL)
			return error_config(
			        err, "[postwake] user = %s: there is no such user", user);
		if (privileges_become(found, err) < 0)
			return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, errno, "cannot give up gaining privileges");
	return 0;
}

bool privileges_hide_memory(void)
{
	return prctl(PR_SET_DUMPABLE, 0) == 0;
}
