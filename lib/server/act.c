/* SPDX-License-Identifier: MIT */
/* act.c - the way of an act; what it does at each stop is in operate.c. */
#include "server/act.h"

#include "base/check.h"
#include "server/bans_writer.h"
#include "server/worker.h"

static struct yo_act *act_of(struct yo_letter *letter)
{
    return YO_CONTAINER(letter, struct yo_act, letter);
}

static struct yo_span keep(struct yo_act *act, size_t *used, struct yo_span text)
{
    uint8_t *at = act->text + *used;

    if (!text.data) {
        return YO_SPAN_NONE;
    }
    if (text.size > 0) {
        memcpy(at, text.data, text.size);
    }
    *used += text.size;
    return yo_span(at, text.size);
}

int yo_act_create(struct yo_act **out, struct yomo_server *server,
                  const struct yo_act_wish *wish)
{
    const struct yomo_mem *mem = server->config.mem;
    size_t used = 0;
    struct yo_act *act =
        yo_calloc(mem, 1,
                  sizeof(*act) + wish->app.size + wish->room.size + wish->id.size +
                      wish->reason.size + wish->prefix.size + wish->key.size + 1);
    int rv;

    if (!act) {
        return YOMO_ERR_NOMEM;
    }
    rv = yo_listing_init(&act->page, mem, wish->after, wish->max);
    if (rv != YOMO_OK) {
        yo_listing_finish(&act->page);
        yo_free(mem, act);
        return rv;
    }
    act->server = yo_server_ref(server);
    act->kind = wish->kind;
    act->app = keep(act, &used, wish->app);
    act->room = keep(act, &used, wish->room);
    act->id = keep(act, &used, wish->id);
    act->reason = keep(act, &used, wish->reason);
    act->prefix = keep(act, &used, wish->prefix);
    act->key = keep(act, &used, wish->key);
    act->session = wish->session;
    act->by_network = wish->network != NULL;
    if (wish->network) {
        act->network = *wish->network;
    }
    act->stops = act->kind >= YO_ACT_KEEP ? 1 : server->worker_count;
    if (act->kind == YO_ACT_SET || act->kind == YO_ACT_GET) {
        uint8_t bytes[YO_ROOM_KEY_MAX];
        act->first =
            (uint32_t)(yo_siphash(server->seed,
                                  yo_room_key_write(bytes, act->app, act->room)) %
                       server->worker_count);
    }
    if (act->stops > 1 && (act->kind == YO_ACT_KICK || act->kind == YO_ACT_CLOSE)) {
        act->stops *= 2;
    }
    act->end.back = -1;
    *out = act;
    return YOMO_OK;
}

void yo_act_free(struct yo_act *act)
{
    struct yomo_server *server = act->server;

    yo_listing_finish(&act->page);
    yo_blob_unref(act->payload);
    yo_free(server->config.mem, act);
    yo_server_unref(server);
}

static void finish(struct yo_act *act)
{
    int error = act->visited ? act->error : YOMO_ERR_STATE;

    if (error == YOMO_OK) {
        error = yo_listing_close(&act->page);
    }
    act->end.done(act, error);
    yo_act_free(act);
}

static void open_act(struct yo_letter *letter, void *box_user, yo_time now);
static void pass_by(struct yo_letter *letter);

static void open_answer(struct yo_letter *letter, void *box_user, yo_time now)
{
    (void)box_user;
    (void)now;
    finish(act_of(letter));
}

static void drop_answer(struct yo_letter *letter)
{
    yo_act_free(act_of(letter)); /* who waited for it has ended */
}

/* It has been everywhere, and bans were changed. True: it was given away. */
static bool keep_bans(struct yo_act *act)
{
    struct yomo_server *server = act->server;

    act->keeps = false;
    if (act->visited && server->bans_writer) {
        yo_bans_writer_keep(server->bans_writer, act);
        return true;
    }
    act->error = yo_server_write_bans(server);
    return false;
}

static void travel(struct yo_act *act)
{
    struct yomo_server *server = act->server;

    yo_list_init(&act->letter.link);
    if (act->at >= act->stops && act->keeps && keep_bans(act)) {
        return;
    }
    if (act->at < act->stops) {
        act->letter.open = open_act;
        act->letter.discard = pass_by;
        yo_mailbox_post(
            server->desks[(act->first + act->at) % server->worker_count].box,
            &act->letter);
    } else if (act->end.back >= 0) {
        act->letter.open = open_answer;
        act->letter.discard = drop_answer;
        yo_mailbox_post(server->desks[act->end.back].box, &act->letter);
    } else {
        finish(act);
    }
}

static void open_act(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct yo_act *act = act_of(letter);

    act->visited = true;
    act->again = false;
    yo_operate(act, box_user, now);
    if (!act->again) {
        act->at++;
        act->cursor = 0;
    }
    travel(act);
}

static void pass_by(struct yo_letter *letter)
{
    struct yo_act *act = act_of(letter);

    act->at++;
    act->cursor = 0;
    travel(act);
}

void yo_act_kept(struct yo_act *act, int error)
{
    act->error = error;
    travel(act);
}

void yo_act_send(struct yo_act *act)
{
    struct yomo_server *server = yo_server_ref(act->server);

    travel(act); /* the act's reference may be the last but this one */
    yo_server_unref(server);
}
