/* Hand-over of the milter's observations: mail must not wait for the store, so end-of-message puts
 * a copy into a bounded queue. Capture pulls it before the lines of the log; where there are none,
 * a thread sees to it within 10 ms. */
#ifndef PW_CAPTURE_HANDOVER_H
#define PW_CAPTURE_HANDOVER_H

#include "capture/capture.h"

struct handover;

/* `most`: observations that may wait; 0 = 10,000. */
struct handover *handover_new(struct capture *capture, size_t most);

/* Feeds what waits, ends the thread. */
void handover_free(struct handover **handover);

/* Copies the observation into the queue. With `wait_ms` > 0 it returns after the commit that holds
 * it. 0; -1 when the queue is full or the commit did not come in time. */
int handover_give(struct handover *handover, const struct observation *seen, int wait_ms);

/* Observations that found the queue full. */
uint64_t handover_dropped(struct handover *handover);

#endif
