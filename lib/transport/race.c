/* SPDX-License-Identifier: MIT */
#include "transport/race.h"

#include <string.h>
#include <yomo/error.h>

#define STEP (250 * YO_MS) /* RFC 8305 5 */

static void start_next(struct yo_race *race, yo_time now)
{
    while (!race->over && race->next < race->count) {
        size_t index = race->next++;
        race->running++;
        int rv = race->start(race->user, index, &race->addresses[index], now);
        if (race->over) {
            return;
        }
        if (rv == YOMO_OK) {
            if (race->next < race->count) {
                /* Its place was reserved. */
                (void)yo_timer_set(&race->timer, yo_time_after(now, STEP));
            }
            return;
        }
        race->running--;
        race->error = rv;
    }
    if (!race->over && race->running == 0) {
        yo_loop_defer(race->loop, &race->task);
    }
}

static void on_timer(struct yo_timer *timer, yo_time now)
{
    start_next(YO_CONTAINER(timer, struct yo_race, timer), now);
}

static void on_task(struct yo_task *task, yo_time now)
{
    struct yo_race *race = YO_CONTAINER(task, struct yo_race, task);
    int error = race->error;
    yo_race_stop(race);
    race->lost(race->user, error, now);
}

static void on_addresses(void *user, int error, const union yo_address *addresses,
                         size_t count, yo_time now)
{
    struct yo_race *race = user;
    race->resolve = NULL;
    race->error = error;
    race->count = count;
    if (count > 0) {
        memcpy(race->addresses, addresses, count * sizeof(*addresses));
    }
    start_next(race, now);
}

int yo_race_begin(struct yo_race *race, const char *host, uint16_t port)
{
    yo_task_init(&race->task, on_task);
    yo_timer_init(&race->timer, race->loop, on_timer);
    race->over = true;
    int rv = yo_loop_reserve_timer(race->loop);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_resolve_start(&race->resolve, race->loop, host, port, on_addresses, race);
    if (rv != YOMO_OK) {
        yo_loop_release_timer(race->loop);
        return rv;
    }
    race->over = false;
    return YOMO_OK;
}

void yo_race_failed(struct yo_race *race, int error, yo_time now)
{
    if (race->over) {
        return;
    }
    race->running--;
    race->error = error;
    yo_timer_stop(&race->timer);
    start_next(race, now);
}

void yo_race_stop(struct yo_race *race)
{
    if (!race->loop || race->over) {
        return;
    }
    race->over = true;
    if (race->resolve) {
        yo_resolve_cancel(race->resolve);
        race->resolve = NULL;
    }
    yo_timer_stop(&race->timer);
    yo_task_cancel(&race->task);
    yo_loop_release_timer(race->loop);
}
