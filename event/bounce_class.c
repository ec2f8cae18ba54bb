#include "event/bounce_class.h"

#include <glib.h>

static const struct bounce_class classes[] = {
#define CLASS(CODE, NAME, CATEGORY) {CODE, NAME, CATEGORY},
#include "schema/bounce-classes.def"
#undef CLASS
};

const struct bounce_class *bounce_class_by_code(int code)
{
	for (size_t i = 0; i < G_N_ELEMENTS(classes); i++)
		if (classes[i].code == code)
			return &classes[i];
	return NULL;
}
