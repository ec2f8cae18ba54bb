/* A configuration file of any bytes: it is taken, or refused in words.
 * Words: daemon/config.c
 * Reaches: config_put config_find config_check_sources config_check_uploads config_check_url
 * Reaches: config_number config_switch */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("postwake.conf", MFD_CLOEXEC);
	g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
	struct config *config = NULL;
	struct error err = {0};

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	int result = config_load(&config, path, &err);
	if ((result == 0) == err.set || (result < 0 && *err.text == '\0'))
		abort();
	config_free(&config);
	close(fd);
	return 0;
}
