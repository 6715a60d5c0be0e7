/* SPDX-License-Identifier: MIT */
/* admin.c - what a host may do with who is there (<yomo/admin.h>): names are looked at
 * here, on the caller's thread, and then an act goes round (act.h). */
#include <yomo/admin.h>

#include "base/check.h"
#include "base/text.h"
#include "loop/loop.h"
#include "server/act.h"

/* NULL is a name that was not given. */
static bool good(const char *name, size_t max)
{
    size_t size = name ? strlen(name) : 0;

    return !name || (size > 0 && size <= max && yo_utf8_valid(yo_span(name, size)));
}

static bool good_reason(const char *reason)
{
    return !reason ||
           (strlen(reason) <= YO_BAN_REASON_MAX && yo_utf8_valid(yo_span_of(reason)));
}

int yo_server_serving(struct yomo_server *server)
{
    bool alive;

    pthread_mutex_lock(&server->lock);
    alive = server->state == YO_SERVER_SERVING || server->state == YO_SERVER_DRAINING;
    pthread_mutex_unlock(&server->lock);
    return alive ? YOMO_OK : YOMO_ERR_STATE;
}

static struct yo_span app_of(const char *app)
{
    return yo_span_of(app ? app : YO_APP_DEFAULT);
}

static int post(struct yomo_server *server, const struct yo_act_wish *wish,
                const struct yo_act_end *end)
{
    struct yo_act *act;
    int rv = yo_server_serving(server);

    rv = rv == YOMO_OK ? yo_act_create(&act, server, wish) : rv;
    if (rv != YOMO_OK) {
        return rv;
    }
    act->end = *end;
    yo_act_send(act);
    return YOMO_OK;
}

int yo_admin_kick(yomo_server *server, const char *app, const char *room,
                  const char *id, uint64_t session, const char *reason,
                  const struct yo_act_end *end)
{
    YO_REQUIRE(id || session != 0);
    YO_REQUIRE(good(app, YO_APP_SIZE_MAX) && good(room, YO_CHANNEL_SIZE_MAX));
    YO_REQUIRE(good(id, YO_ID_SIZE_MAX) && good_reason(reason));
    return post(server,
                &(struct yo_act_wish){.kind = YO_ACT_KICK,
                                      .app = app_of(app),
                                      .room = yo_span_of(room),
                                      .id = yo_span_of(id),
                                      .session = session,
                                      .reason = yo_span_of(reason)},
                end);
}

int yo_admin_close_room(yomo_server *server, const char *app, const char *room,
                        const char *reason, const struct yo_act_end *end)
{
    YO_REQUIRE(room && good(app, YO_APP_SIZE_MAX));
    YO_REQUIRE(good(room, YO_CHANNEL_SIZE_MAX) && good_reason(reason));
    return post(server,
                &(struct yo_act_wish){.kind = YO_ACT_CLOSE,
                                      .app = app_of(app),
                                      .room = yo_span_of(room),
                                      .reason = yo_span_of(reason)},
                end);
}

int yo_admin_list_rooms(yomo_server *server, const char *app, const char *prefix,
                        const char *after, uint32_t max, const struct yo_act_end *end)
{
    YO_REQUIRE(good(app, YO_APP_SIZE_MAX));
    return post(server,
                &(struct yo_act_wish){.kind = YO_ACT_ROOMS,
                                      .app = yo_span_of(app),
                                      .prefix = yo_span_of(prefix),
                                      .after = yo_span_of(after),
                                      .max = max},
                end);
}

int yo_admin_list_members(yomo_server *server, const char *app, const char *room,
                          const char *after, uint32_t max, const struct yo_act_end *end)
{
    YO_REQUIRE(room && good(app, YO_APP_SIZE_MAX) && good(room, YO_CHANNEL_SIZE_MAX));
    return post(server,
                &(struct yo_act_wish){.kind = YO_ACT_MEMBERS,
                                      .app = app_of(app),
                                      .room = yo_span_of(room),
                                      .after = yo_span_of(after),
                                      .max = max},
                end);
}

/* --- bans ------------------------------------------------------------------------ */

bool yo_server_banned(struct yomo_server *server, const char *app, struct yo_span room,
                      const char *id, const char *address)
{
    struct yo_ip ip;
    bool known = yo_ip_parse(&ip, yo_span_of(address), true) == YOMO_OK;

    return yo_bans_have(server->bans, yo_span_of(app), room, yo_span_of(id),
                        known ? &ip : NULL, yo_steady_ms());
}

/* The table's word for what was named: one with the id, one with the network. */
static int read_who(struct yo_ban_who who[2], size_t *count, const char *app,
                    const char *room, const char *id, const char *address)
{
    *count = 0;
    YO_REQUIRE((id || address) && good(app, YO_APP_SIZE_MAX));
    YO_REQUIRE(good(room, YO_CHANNEL_SIZE_MAX) && good(id, YO_ID_SIZE_MAX));
    memset(who, 0, 2 * sizeof(*who));
    if (id) {
        who[(*count)++].user = yo_span_of(id);
    }
    if (address) {
        YO_REQUIRE(yo_network_parse(&who[*count].network, yo_span_of(address)) ==
                   YOMO_OK);
        (*count)++;
    }
    for (size_t i = 0; i < *count; i++) {
        who[i].app = app_of(app);
        who[i].room = yo_span_of(room);
    }
    return YOMO_OK;
}

static int put_bans(struct yomo_server *server, const struct yo_ban_who *who,
                    size_t count, uint64_t ms, struct yo_span reason)
{
    uint64_t now = yo_steady_ms();

    for (size_t i = 0; i < count; i++) {
        struct yo_ban ban = {.who = who[i],
                             .until_ms = ms < UINT64_MAX - now ? now + ms : UINT64_MAX,
                             .length_ms = ms,
                             .reason = reason};
        int rv = yo_bans_put(server->bans, &ban, now);
        if (rv != YOMO_OK) {
            while (i-- > 0) {
                (void)yo_bans_remove(server->bans, &who[i], now);
            }
            return rv;
        }
    }
    return YOMO_OK;
}

int yo_admin_ban(yomo_server *server, const char *app, const char *room, const char *id,
                 const char *address, uint64_t ms, const char *reason,
                 const struct yo_act_end *end)
{
    struct yo_ban_who who[2];
    struct yo_act *act;
    size_t count;
    int rv;

    YO_REQUIRE(ms > 0 && good_reason(reason));
    rv = read_who(who, &count, app, room, id, address);
    rv = rv == YOMO_OK ? yo_server_serving(server) : rv;
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_act_create(
        &act, server,
        &(struct yo_act_wish){.kind = YO_ACT_KICK,
                              .app = app_of(app),
                              .room = yo_span_of(room),
                              .id = yo_span_of(id),
                              .network = address ? &who[count - 1].network : NULL,
                              .reason = yo_span_of(reason)});
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = put_bans(server, who, count, ms, yo_span_of(reason));
    if (rv != YOMO_OK) {
        yo_act_free(act);
        return rv;
    }
    act->end = *end;
    act->keeps = true;
    yo_act_send(act);
    return YOMO_OK;
}

int yo_admin_unban(yomo_server *server, const char *app, const char *room,
                   const char *id, const char *address, const struct yo_act_end *end)
{
    struct yo_ban_who who[2];
    struct yo_act *act;
    uint64_t now = yo_steady_ms();
    size_t count;
    int rv = read_who(who, &count, app, room, id, address);

    rv = rv == YOMO_OK ? yo_server_serving(server) : rv;
    rv = rv == YOMO_OK
             ? yo_act_create(&act, server, &(struct yo_act_wish){.kind = YO_ACT_KEEP})
             : rv;
    if (rv != YOMO_OK) {
        return rv;
    }
    for (size_t i = 0; i < count; i++) {
        act->count += yo_bans_remove(server->bans, &who[i], now) == YOMO_OK;
    }
    if (act->count == 0) {
        yo_act_free(act);
        return YOMO_ERR_NOT_FOUND;
    }
    act->end = *end;
    act->keeps = true;
    yo_act_send(act);
    return YOMO_OK;
}

struct ban_list {
    struct yomo_listing page;
    struct yo_span app;
};

static void see_ban(void *user, const struct yo_ban *ban)
{
    struct ban_list *list = user;
    uint8_t key[YO_BAN_KEY_MAX];
    char address[YO_NETWORK_TEXT_SIZE] = "";
    struct yo_row row = {.key = yo_span(key, yo_ban_key(key, &ban->who)),
                         .app = ban->who.app,
                         .room = ban->who.room,
                         .id = ban->who.user,
                         .reason = ban->reason,
                         .until_ms = yo_ban_wall_end(ban)};

    if (list->app.data && !yo_span_equal(list->app, ban->who.app)) {
        return;
    }
    if (!ban->who.user.data) {
        yo_ban_print_network(&ban->who.network, address);
        row.address = yo_span_of(address);
    }
    yo_listing_add(&list->page, &row);
}

int32_t yomo_server_list_bans(yomo_server *server, const char *app, const char *after,
                              uint32_t max, yomo_listing_fn on_page, void *user)
{
    struct ban_list list = {.app = yo_span_of(app)};
    int rv;

    YO_REQUIRE(server && on_page && good(app, YO_APP_SIZE_MAX));
    rv = yo_server_serving(server);
    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_listing_init(&list.page, server->config.mem, yo_span_of(after), max);
    if (rv == YOMO_OK) {
        yo_bans_each(server->bans, yo_steady_ms(), see_ban, &list);
        rv = yo_listing_close(&list.page);
    }
    if (rv == YOMO_OK) {
        on_page(user, YOMO_OK, &list.page);
    }
    yo_listing_finish(&list.page);
    return rv;
}

/* --- applications ---------------------------------------------------------------- */

struct app_list {
    struct yomo_listing page;
    struct yo_span prefix;
    const struct yo_act_end *end;
};

static uint64_t rate_of(const struct yo_allowance *allowance)
{
    return atomic_load_explicit(&allowance->per_second, memory_order_relaxed);
}

static void see_app(void *user, const struct yo_app *app)
{
    struct app_list *list = user;
    struct yo_span name = yo_span(app->name, app->size);
    struct yo_row row = {.key = name, .app = name};

    if (!yo_listing_wants(&list->page, name) || name.size < list->prefix.size ||
        !yo_span_equal(yo_span(name.data, list->prefix.size), list->prefix) ||
        (list->end->sees && !list->end->sees(list->end->user, name, YO_SPAN_NONE))) {
        return;
    }
    row.numbers[YOMO_APP_CONNECTIONS] = app->counts[YO_APP_CONNECTIONS];
    row.numbers[YOMO_APP_ROOMS] = app->counts[YO_APP_ROOMS];
    row.numbers[YOMO_APP_CONNECTIONS_MAX] = app->most[YO_APP_CONNECTIONS];
    row.numbers[YOMO_APP_ROOMS_MAX] = app->most[YO_APP_ROOMS];
    row.numbers[YOMO_APP_MESSAGE_RATE] = rate_of(&app->rates.messages);
    row.numbers[YOMO_APP_BYTE_RATE] = rate_of(&app->rates.bytes);
    for (int i = 0; i < YO_APP_LIMITS; i++) {
        row.numbers[YOMO_APP_CONNECTIONS_REFUSED + i] =
            atomic_load_explicit(&app->refused[i], memory_order_relaxed);
    }
    yo_listing_add(&list->page, &row);
}

int yo_admin_list_apps(yomo_server *server, const char *prefix, const char *after,
                       uint32_t max, const struct yo_act_end *end)
{
    struct app_list list = {.prefix = yo_span_of(prefix ? prefix : ""), .end = end};
    int rv = yo_server_serving(server);

    if (rv != YOMO_OK) {
        return rv;
    }
    rv = yo_listing_init(&list.page, server->config.mem, yo_span_of(after), max);
    if (rv == YOMO_OK) {
        yo_apps_each(server->apps, see_app, &list);
        rv = yo_listing_close(&list.page);
    }
    if (rv == YOMO_OK) {
        end->on_page(end->user, YOMO_OK, &list.page);
    }
    yo_listing_finish(&list.page);
    return rv;
}

/* --- the host's calls ------------------------------------------------------------ */

static void tell_count(struct yo_act *act, int error)
{
    if (act->end.on_count) {
        act->end.on_count(act->end.user, error, act->count);
    }
}

static void tell_page(struct yo_act *act, int error)
{
    act->end.on_page(act->end.user, error, error == YOMO_OK ? &act->page : NULL);
}

static struct yo_act_end count_end(yomo_count_fn on_count, void *user)
{
    return (struct yo_act_end){
        .done = tell_count, .on_count = on_count, .user = user, .back = -1};
}

static struct yo_act_end page_end(yomo_listing_fn on_page, void *user)
{
    return (struct yo_act_end){
        .done = tell_page, .on_page = on_page, .user = user, .back = -1};
}

int32_t yomo_server_kick(yomo_server *server, const char *app, const char *room,
                         const char *id, uint64_t session, const char *reason,
                         yomo_count_fn on_done, void *user)
{
    const struct yo_act_end end = count_end(on_done, user);

    YO_REQUIRE(server);
    return yo_admin_kick(server, app, room, id, session, reason, &end);
}

int32_t yomo_server_ban(yomo_server *server, const char *app, const char *room,
                        const char *id, const char *address, uint64_t ms,
                        const char *reason, yomo_count_fn on_done, void *user)
{
    const struct yo_act_end end = count_end(on_done, user);

    YO_REQUIRE(server);
    return yo_admin_ban(server, app, room, id, address, ms, reason, &end);
}

int32_t yomo_server_unban(yomo_server *server, const char *app, const char *room,
                          const char *id, const char *address, yomo_count_fn on_done,
                          void *user)
{
    const struct yo_act_end end = count_end(on_done, user);

    YO_REQUIRE(server);
    return yo_admin_unban(server, app, room, id, address, &end);
}

int32_t yomo_server_close_room(yomo_server *server, const char *app, const char *room,
                               const char *reason, yomo_count_fn on_done, void *user)
{
    const struct yo_act_end end = count_end(on_done, user);

    YO_REQUIRE(server);
    return yo_admin_close_room(server, app, room, reason, &end);
}

int32_t yomo_server_list_rooms(yomo_server *server, const char *app, const char *prefix,
                               const char *after, uint32_t max, yomo_listing_fn on_page,
                               void *user)
{
    const struct yo_act_end end = page_end(on_page, user);

    YO_REQUIRE(server && on_page);
    return yo_admin_list_rooms(server, app, prefix, after, max, &end);
}

int32_t yomo_server_list_apps(yomo_server *server, const char *prefix,
                              const char *after, uint32_t max, yomo_listing_fn on_page,
                              void *user)
{
    const struct yo_act_end end = page_end(on_page, user);

    YO_REQUIRE(server && on_page);
    return yo_admin_list_apps(server, prefix, after, max, &end);
}

int32_t yomo_server_list_members(yomo_server *server, const char *app, const char *room,
                                 const char *after, uint32_t max,
                                 yomo_listing_fn on_page, void *user)
{
    const struct yo_act_end end = page_end(on_page, user);

    YO_REQUIRE(server && on_page);
    return yo_admin_list_members(server, app, room, after, max, &end);
}
