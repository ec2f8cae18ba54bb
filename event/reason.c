#include "event/reason.h"

#include "event/classify.h"

void reason_canonical(GString *out, struct slice raw)
{
	classifier_reason(classifier_default(), out, raw);
}
