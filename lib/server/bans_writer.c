/* SPDX-License-Identifier: MIT */
/* bans_writer.c
 *
 * The happy path: an act that has made or lifted a ban comes here when it has been
 * everywhere; the thread writes the whole table and lets it go on.
 *
 * Possible failures: the disk. Those who wait are told FILE; the table counts
 * nevertheless, and is written when that works again. */
#include "server/bans_writer.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "base/check.h"

#define RETRY_S 2

struct yo_bans_writer {
    const struct yomo_mem *mem;
    struct yomo_server *server; /* outlives it */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct yo_link waiting; /* with the lock: of acts, by letter.link */
    bool due, closing, ended;
    atomic_bool failing;
};

static void go_on(struct yo_link *acts, int error)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(acts)) != NULL) {
        struct yo_letter *letter = YO_CONTAINER(link, struct yo_letter, link);
        yo_act_kept(YO_CONTAINER(letter, struct yo_act, letter), error);
    }
}

/* With the lock: until there is something to do. */
static void sleep_until_due(struct yo_bans_writer *writer)
{
    struct timespec until;
    bool timed = atomic_load(&writer->failing);
    int rv = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += RETRY_S;
    while (!writer->due && !writer->closing && rv != ETIMEDOUT) {
        rv = timed ? pthread_cond_timedwait(&writer->wake, &writer->lock, &until)
                   : pthread_cond_wait(&writer->wake, &writer->lock);
    }
}

/* With the lock, which is let go of meanwhile. */
static void write_all(struct yo_bans_writer *writer)
{
    const struct yo_log *log = writer->server->config.log;
    struct yo_link acts;
    bool failed_before = atomic_load(&writer->failing);
    int rv;

    yo_list_init(&acts);
    yo_list_splice(&acts, &writer->waiting);
    writer->due = false;
    pthread_mutex_unlock(&writer->lock);
    rv = yo_server_write_bans(writer->server); /* which says what is wrong */
    atomic_store(&writer->failing, rv != YOMO_OK);
    if (rv == YOMO_OK && failed_before) {
        YO_LOG(log, YOMO_LOG_WARN, "server", "bans are kept again");
    }
    go_on(&acts, rv);
    pthread_mutex_lock(&writer->lock);
}

static void *run(void *argument)
{
    struct yo_bans_writer *writer = argument;

    pthread_mutex_lock(&writer->lock);
    for (;;) {
        sleep_until_due(writer);
        if (writer->closing && !writer->due && !atomic_load(&writer->failing)) {
            break;
        }
        write_all(writer);
        if (writer->closing && !writer->due) {
            break; /* a disk that still fails was tried once more */
        }
    }
    writer->ended = true;
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

int yo_bans_writer_create(struct yo_bans_writer **out, struct yomo_server *server)
{
    struct yo_bans_writer *writer = yo_calloc(&server->mem, 1, sizeof(*writer));
    pthread_condattr_t attributes;
    sigset_t all, old;
    int error;

    if (!writer) {
        return YOMO_ERR_NOMEM;
    }
    writer->mem = &server->mem;
    writer->server = server;
    yo_list_init(&writer->waiting);
    pthread_mutex_init(&writer->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    sigfillset(&all); /* signals are for the host */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&writer->thread, NULL, run, writer);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error != 0) {
        writer->ended = writer->closing = true;
        yo_bans_writer_free(writer);
        return YOMO_ERR_SYSTEM;
    }
    *out = writer;
    return YOMO_OK;
}

void yo_bans_writer_keep(struct yo_bans_writer *writer, struct yo_act *act)
{
    bool late;

    pthread_mutex_lock(&writer->lock);
    late = writer->ended;
    if (!late) {
        yo_list_init(&act->letter.link);
        yo_list_push_back(&writer->waiting, &act->letter.link);
        writer->due = true;
        pthread_cond_signal(&writer->wake);
    }
    pthread_mutex_unlock(&writer->lock);
    if (late) {
        yo_act_kept(act, YOMO_ERR_STATE);
    }
}

void yo_bans_writer_touch(struct yo_bans_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    writer->due = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
}

bool yo_bans_writer_failing(const struct yo_bans_writer *writer)
{
    return atomic_load(&writer->failing);
}

void yo_bans_writer_close(struct yo_bans_writer *writer)
{
    bool first;

    if (!writer) {
        return;
    }
    pthread_mutex_lock(&writer->lock);
    first = !writer->closing;
    writer->closing = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
    if (first) {
        pthread_join(writer->thread, NULL);
    }
}

void yo_bans_writer_free(struct yo_bans_writer *writer)
{
    if (!writer) {
        return;
    }
    yo_bans_writer_close(writer);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->lock);
    yo_free(writer->mem, writer);
}
