#include "event/ledger.h"

const char *const ledger_names[LEDGER_CLASSES] = {
        [LEDGER_EVENT] = "event",
        [LEDGER_LINKED] = "linked",
        [LEDGER_IGNORED] = "ignored",
        [LEDGER_KNOWN] = "known",
        [LEDGER_UNPARSED] = "unparsed",
};
