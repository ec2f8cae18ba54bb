#include "daemon/health.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* What NTP corrects in steps is less. */
#define CLOCK_STEP (10 * CLOCK_SECOND)
/* A commit of some milliseconds that takes so long shows a disk that is ill or has other things to
 * do; it is well again when one takes less than the second. us. */
#define SLOW_COMMIT 1000000
#define QUICK_COMMIT 200000
#define QUIET CLOCK_MINUTE /* without a commit: nobody waits for the disk any more */

static bool has_descriptors(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	bool out = fd < 0 && errno == EMFILE;

	if (fd >= 0)
		close(fd);
	return !out;
}

void health_gap(struct capture *capture, int64_t from, int64_t to, const char *text)
{
	const struct store_gap gap = {.source = SLICE("postwaked"),
	        .from = from,
	        .to = to,
	        .bytes = -1,
	        .text = slice_str(text)};

	capture_tell_gap(capture, &gap);
}

/* Without any, nobody can connect, neither the MTA to the milter nor whoever asks for the status.
 */
static void look_at_descriptors(struct health *health, struct capture *capture, int64_t now)
{
	static const char text[] = "out of file descriptors: mails passed the milter unseen, and "
	                           "nobody could ask; raise LimitNOFILE= of the service";
	bool out = !has_descriptors();
	struct rlimit limit = {0};

	if (out == (health->out_since != 0))
		return;
	if (out) {
		getrlimit(RLIMIT_NOFILE, &limit);
		log_error(NULL,
		        "out of file descriptors (limit %llu): mails pass the milter unseen, and "
		        "nobody can ask; raise LimitNOFILE= of the service",
		        (unsigned long long)limit.rlim_cur);
		health->out_since = now;
		return;
	}
	log_info(NULL, "there are file descriptors again");
	health_gap(capture, health->out_since, now, text);
	health->out_since = 0;
}

static void look_at_clock(struct health *health, struct capture *capture, int64_t now, int64_t boot)
{
	int64_t apart = now - boot, step = apart - health->apart;
	bool known = health->apart != 0;

	health->apart = apart;
	if (!known || ABS(step) < CLOCK_STEP)
		return;
	g_autofree char *text = g_strdup_printf(
	        "the clock was set %s by %lld s: times of mails and events %s; %s",
	        step < 0 ? "back" : "forward", (long long)(ABS(step) / CLOCK_SECOND),
	        step < 0 ? "come twice, their order is that of arrival" : "leave that out",
	        step > CLOCK_DAY ? "days are dropped by it only when it has been so for 24 hours"
	                         : "nothing is lost");
	log_warning(NULL, "%s", text);
	health_gap(capture, MIN(now - step, now), MAX(now - step, now), text);
}

char *health_slow(struct health *health)
{
	unsigned slowest = atomic_load(&health->slowest);

	return slowest == 0 ? NULL
	                    : g_strdup_printf(
	                              "the disk of the store is slow: a commit takes up to %.1f s. "
	                              "Nothing is lost, but events are found late; see what "
	                              "else uses it (iostat -x, smartctl)",
	                              slowest / 1e6);
}

/* Notes a commit that was or is slow. */
static void note_slow(struct health *health, struct capture *capture, const struct store_pace *pace)
{
	unsigned longest = capture_longest(capture, health->commits);
	unsigned took = MAX(longest, pace->running);

	if (took >= SLOW_COMMIT) {
		health->before_slow = longest >= SLOW_COMMIT ? health->commits : pace->done;
		atomic_store(&health->slowest, MAX(took, atomic_load(&health->slowest)));
	}
}

/* Whether the last commit was quick, and came behind the slow one: one that fails says nothing. */
static bool is_quick(
        const struct health *health, struct capture *capture, const struct store_pace *pace)
{
	return pace->done != health->before_slow && pace->running < QUICK_COMMIT &&
	       capture_longest(capture, pace->done - 1) < QUICK_COMMIT;
}

static void look_at_disk(struct health *health, struct capture *capture, int64_t now)
{
	struct store_pace pace;
	struct error trouble = {0};

	capture_pace(capture, &pace);
	if (pace.done != health->commits || pace.running != 0 || capture_trouble(capture, &trouble))
		health->committing = now;
	note_slow(health, capture, &pace);
	health->commits = pace.done;
	g_autofree char *text = health_slow(health);
	bool quick = is_quick(health, capture, &pace);
	if (text != NULL && health->slow_since == 0) {
		health->slow_since = now;
		log_warning("store", "%s", text);
	} else if (text != NULL && (quick || now - health->committing >= QUIET)) {
		log_info("store", quick ? "commits are quick again" : "no commit is slow any more");
		health_gap(capture, health->slow_since, now, text);
		health->slow_since = 0;
		atomic_store(&health->slowest, 0);
	}
}

void health_look(struct health *health, struct capture *capture)
{
	int64_t now, boot;

	clock_both(&now, &boot);
	look_at_disk(health, capture, now);
	look_at_descriptors(health, capture, now);
	look_at_clock(health, capture, now, boot);
}
