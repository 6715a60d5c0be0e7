/* SPDX-License-Identifier: MIT */
/* apps.h - applications: how much of everything each of them has, over all workers and
 * doors, and how much it may have.
 *
 * An application is there while it has a connection or a room, and for a while after
 * that, so that what it used up is not forgotten by leaving. The lock is taken when a
 * connection or a room comes or goes, and when an operator looks; what members say is
 * counted without it (session/allowance.h).
 *
 * Thread: any, for all of it. */
#ifndef YO_SERVER_APPS_H
#define YO_SERVER_APPS_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "options/options.h"
#include "session/allowance.h"

#define YO_APPS_IDLE_MAX 1000u /* that have nothing, and are remembered */
#define YO_APP_RULES_MAX 1000u /* words of option app-limits */

/* What is limited, in the order of the options and of their words (options/value.h). */
enum yo_app_limit {
    YO_APP_CONNECTIONS, /* at once */
    YO_APP_ROOMS,       /* with somebody in them, at once */
    YO_APP_MESSAGES,    /* of members, in a second */
    YO_APP_BYTES,       /* of these messages, in a second */
    YO_APP_LIMITS
};

struct yo_app_rules; /* the limits of all and of some: what the options say */

/* From the options app-connections-max, app-rooms-max, app-message-rate, app-byte-rate
 * and app-limits. `closed`: there are no applications but those of `keys`, or without
 * keys `only`; a limit of another is a mistake then. YOMO_ERR_OPTION with a sentence in
 * `why`, YOMO_ERR_NOMEM. */
int yo_app_rules_read(struct yo_app_rules **out, const struct yomo_mem *mem,
                      const yomo_options *options, bool closed, const char *only,
                      struct yo_buf *why);
void yo_app_rules_free(struct yo_app_rules *rules); /* accepts NULL */

struct yo_app {
    struct yo_map_node node;
    struct yo_link idle; /* in the list of those that have nothing */
    /* Under the lock. */
    size_t refs; /* connections, those who were one, rooms */
    uint64_t counts[YO_APP_ROOMS + 1], most[YO_APP_ROOMS + 1]; /* 0: no limit */
    struct yo_rates rates;
    _Atomic uint64_t refused[YO_APP_LIMITS];
    size_t size;
    char name[]; /* NUL behind it */
};

struct yo_apps;

int yo_apps_create(struct yo_apps **out,
                   const struct yomo_mem *mem); /* NOMEM, SYSTEM */
void yo_apps_free(struct yo_apps *apps);        /* nobody is left; accepts NULL */

/* These count from now on, also for who is there; nobody is put out. Takes `rules`. */
void yo_apps_rule(struct yo_apps *apps, struct yo_app_rules *rules);

/* One more connection or room of `name`. It is to be given back with yo_apps_less, and
 * what it was asked for with yo_apps_unref. YOMO_ERR_FULL, which is counted; NOMEM. */
int yo_apps_more(struct yo_apps *apps, struct yo_span name, enum yo_app_limit what,
                 struct yo_app **out);
void yo_apps_less(struct yo_apps *apps, struct yo_app *app, enum yo_app_limit what);
void yo_apps_unref(struct yo_apps *apps, struct yo_app *app); /* accepts NULL */

/* A message was refused. */
void yo_app_refuse(struct yo_app *app, enum yo_app_limit what);

/* What a client is told of it, a sentence that names the option. */
const char *yo_app_limit_text(enum yo_app_limit what);

/* Each that is known, in no order, with the lock held. */
void yo_apps_each(struct yo_apps *apps,
                  void (*see)(void *user, const struct yo_app *app), void *user);

#endif
