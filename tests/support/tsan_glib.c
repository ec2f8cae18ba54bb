/* Shows ThreadSanitizer the locks of GLib, which are its own (tests/instrumented):
 *
 *	cc -shared -fPIC -o tsan_glib.so tsan_glib.c $(pkg-config --cflags glib-2.0) -ldl
 *	LD_PRELOAD=tsan_glib.so program */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <glib.h>

__attribute__((weak)) void __tsan_acquire(void *address);
__attribute__((weak)) void __tsan_release(void *address);

/* Looked up at the first use, which is in a constructor of GLib: there is one thread. */
static void (*real_lock)(GMutex *);
static void (*real_unlock)(GMutex *);
static gboolean (*real_trylock)(GMutex *);
static void (*real_wait)(GCond *, GMutex *);
static void (*real_push)(GAsyncQueue *, gpointer);
static gpointer (*real_pop)(GAsyncQueue *);
static void (*real_leave)(volatile void *, gsize);
static gboolean (*real_wait_until)(GCond *, GMutex *, gint64);

static void look_up(void)
{
	if (real_lock != NULL)
		return;
	real_unlock = dlsym(RTLD_NEXT, "g_mutex_unlock");
	real_trylock = dlsym(RTLD_NEXT, "g_mutex_trylock");
	real_wait = dlsym(RTLD_NEXT, "g_cond_wait");
	real_wait_until = dlsym(RTLD_NEXT, "g_cond_wait_until");
	real_push = dlsym(RTLD_NEXT, "g_async_queue_push");
	real_pop = dlsym(RTLD_NEXT, "g_async_queue_pop");
	real_leave = dlsym(RTLD_NEXT, "g_once_init_leave");
	real_lock = dlsym(RTLD_NEXT, "g_mutex_lock");
}

static void acquired(void *lock)
{
	if (__tsan_acquire != NULL)
		__tsan_acquire(lock);
}

static void releases(void *lock)
{
	if (__tsan_release != NULL)
		__tsan_release(lock);
}

void g_mutex_lock(GMutex *mutex)
{
	look_up();
	real_lock(mutex);
	acquired(mutex);
}

gboolean g_mutex_trylock(GMutex *mutex)
{
	look_up();
	gboolean got = real_trylock(mutex);

	if (got)
		acquired(mutex);
	return got;
}

void g_mutex_unlock(GMutex *mutex)
{
	look_up();
	releases(mutex);
	real_unlock(mutex);
}

void g_cond_wait(GCond *cond, GMutex *mutex)
{
	look_up();
	releases(mutex);
	real_wait(cond, mutex);
	acquired(mutex);
}

gboolean g_cond_wait_until(GCond *cond, GMutex *mutex, gint64 end)
{
	look_up();
	releases(mutex);
	gboolean woken = real_wait_until(cond, mutex, end);
	acquired(mutex);
	return woken;
}

void g_async_queue_push(GAsyncQueue *queue, gpointer data)
{
	look_up();
	releases(queue);
	real_push(queue, data);
}

gpointer g_async_queue_pop(GAsyncQueue *queue)
{
	look_up();
	gpointer data = real_pop(queue);
	acquired(queue);
	return data;
}

/* Who finds it done looks at the location by an atomic load that ThreadSanitizer knows. */
#undef g_once_init_leave
void g_once_init_leave(volatile void *location, gsize result)
{
	look_up();
	releases((void *)location);
	real_leave(location, result);
}
