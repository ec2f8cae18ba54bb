/* The threads that follow the logs. */
#ifndef PW_DAEMON_SOURCES_H
#define PW_DAEMON_SOURCES_H

#include "capture/capture.h"
#include "daemon/config.h"

struct sources;

/* Starts one thread for each configured source, each at its committed position, and returns when
 * the position where each begins is committed (or cannot be soon); `paused`: they wait for
 * sources_pause. NULL with *err. */
struct sources *sources_start(const struct config *config, struct store *store,
        struct capture *capture, bool paused, struct error *err);

/* Ends the threads; what was read has been handed to the writer. The status may still be asked for.
 */
void sources_stop(struct sources *sources);
void sources_free(struct sources **sources);

/* Holds the sources where they are (their positions stay), because the store may not grow; or lets
 * them go on. */
void sources_pause(struct sources *sources, bool pause);

/* Whether all that the logs hold has been read: only then may the wall clock say that a line did
 * not come. True where no log is followed. */
bool sources_at_end(struct sources *sources);

/* Appends `"following":[…]`: name, kind and the trouble that each has. */
void sources_status(struct sources *sources, GString *out);

#endif
