/* A directory with all that is in it, for tests. */
#ifndef PW_TESTS_TREE_H
#define PW_TESTS_TREE_H

#include <glib.h>
#include <glib/gstdio.h>

static inline void remove_tree(const char *dir)
{
	GDir *list = g_dir_open(dir, 0, NULL);
	const char *name;

	while (list != NULL && (name = g_dir_read_name(list)) != NULL) {
		g_autofree char *path = g_build_filename(dir, name, NULL);
		if (g_file_test(path, G_FILE_TEST_IS_DIR))
			remove_tree(path);
		else
			g_unlink(path);
	}
	if (list != NULL)
		g_dir_close(list);
	g_rmdir(dir);
}

#endif
