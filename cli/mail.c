#include "cli/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "mime/report.h"

static int read_all(int fd, GString *mail, struct error *err)
{
	char buffer[65536];
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_errno(err, errno, "cannot read the mail");
		if (mail->len < REPORT_BYTES_MAX)
			g_string_append_len(
			        mail, buffer, MIN(n, (gssize)(REPORT_BYTES_MAX - mail->len)));
	}
	return 0;
}

GString *mail_read(const char *path, struct error *err)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		error_errno(err, errno, "cannot open %s", path);
		return NULL;
	}
	GString *mail = g_string_new(NULL);
	int result = read_all(fd, mail, err);
	if (!standard)
		close(fd);
	if (result < 0) {
		g_string_free(mail, TRUE);
		return NULL;
	}
	return mail;
}
