/* SPDX-License-Identifier: MIT */
/* say.c - what a member says: looked at by the host's hook, then on its way to the home
 * of the room, or to the host alone.
 *
 * Possible failures: it is refused (no right, the hook says no, nobody there hears it);
 * there is no memory or the home is too far behind. A sender that gave its message a
 * number is told; one that did not and was promised that it arrives is closed. */
#include "base/check.h"
#include "server/hooks.h"
#include "server/local.h"
#include "server/requests.h"
#include "server/worker.h"
#include "wire/decode.h"
#include "wire/json.h"

/* Whom it names, for the hook. */
static int read_addressees(struct yo_local *local, struct yo_span targets,
                           struct yomo_addressees *to)
{
    struct yo_mp_reader reader;
    struct yo_wire_target target;

    yo_buf_clear(&local->names);
    to->count = 0;
    yo_targets_init(&reader, targets);
    while (yo_targets_next(&reader, &target)) {
        to->list[to->count++] =
            (struct yo_addressee){target.session, local->names.size};
        if (target.session == 0) {
            yo_buf_append_span(&local->names, target.user);
            yo_buf_append_byte(&local->names, 0);
        }
    }
    to->names = (const char *)local->names.data;
    return local->names.failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

int yo_local_content(struct yo_local *local, struct yo_span payload,
                     struct yo_content *content)
{
    int rv = yo_content_read(payload, content);

    if (rv == YOMO_OK && content->in_mp) {
        yo_buf_clear(&local->json);
        rv = yo_mp_to_json(&local->json, content->bytes);
        content->bytes = yo_buf_span(&local->json);
    }
    return rv;
}

/* May this be relayed? The host sees JSON or bytes, whichever shape the sender wrote.
 */
static int hook_message(struct yo_local *local, const struct yo_seat *seat,
                        const struct yo_effect *effect)
{
    const struct yo_config *config = local->worker->config;
    struct yomo_addressees to;
    struct yo_content content;
    struct yomo_member member;
    char event[YO_EVENT_SIZE_MAX + 1];
    int rv;

    if (!config->hooks.on_message) {
        return YOMO_OK;
    }
    rv = yo_local_content(local, effect->payload, &content);
    yo_seat_member(seat, &member);
    if (rv == YOMO_OK && effect->targets.data) {
        rv = read_addressees(local, effect->targets, &to);
        member.to = &to;
    }
    if (rv != YOMO_OK) {
        return rv;
    }
    memcpy(event, content.event.data, content.event.size);
    event[content.event.size] = '\0';
    rv =
        config->hooks.on_message(config->hooks_user, &member, event, content.bytes.data,
                                 content.bytes.size, content.encoding);
    return rv > 0 ? YOMO_ERR_DENIED : rv;
}

static bool is_for_host(const struct yo_effect *effect)
{
    struct yo_mp_reader reader;

    return effect->targets.data && yo_targets_init(&reader, effect->targets) == 0;
}

/* It goes no further than the hook. */
static int say_to_host(struct yo_local *local, const struct yo_seat *seat,
                       const struct yo_effect *effect)
{
    int rv = effect->request != 0 ? yo_request_ask(local, seat, effect)
             : local->worker->config->hooks.on_message
                 ? hook_message(local, seat, effect)
                 : YOMO_ERR_NOT_FOUND;

    if (rv == YOMO_OK && effect->number != 0) {
        yo_local_answer(local, seat->peer, YO_NOTE_CONFIRM, effect->room,
                        effect->number, YOMO_OK);
    }
    return rv == YOMO_OK || rv == YOMO_ERR_NOMEM || rv == YOMO_ERR_NOT_FOUND ||
                   rv == YOMO_ERR_FULL
               ? rv
               : YOMO_ERR_DENIED;
}

/* When a message that may wait so long is over. */
static yo_time end_of(const struct yo_local *local, uint64_t ttl_ms)
{
    if (ttl_ms == 0 || ttl_ms > YO_NEVER / YO_MS) {
        return YO_NEVER;
    }
    return yo_time_after(yo_loop_now(local->worker->loop), ttl_ms * YO_MS);
}

static struct yo_note *write_note(struct yo_local *local, const struct yo_seat *seat,
                                  const struct yo_effect *effect)
{
    const struct yomo_mem *mem = local->worker->mem;
    bool latest = effect->delivery == YOMO_LATEST;
    struct yo_note *note = yo_seat_note(local, YO_NOTE_PUBLISH, seat, effect->text,
                                        latest ? effect->event : YO_SPAN_NONE,
                                        latest ? effect->key : YO_SPAN_NONE);

    if (!note) {
        return NULL;
    }
    note->payload = yo_blob_create(mem, effect->payload);
    if (effect->targets.data) {
        note->targets = yo_blob_create(mem, effect->targets);
    }
    if (!note->payload || (effect->targets.data && !note->targets)) {
        yo_note_free(note);
        return NULL;
    }
    note->delivery = effect->delivery;
    note->version = effect->version;
    note->number = effect->number;
    note->echo = effect->echo;
    note->priority = effect->priority;
    note->expires = end_of(local, effect->ttl_ms);
    note->came = yo_loop_now(local->worker->loop);
    note->request = effect->request;
    note->reply = effect->reply;
    note->error = effect->error;
    return note;
}

static int say(struct yo_local *local, const struct yo_seat *seat,
               const struct yo_effect *effect)
{
    struct yo_worker *worker = local->worker;
    struct yo_note *note;
    int rv;

    if (!(seat->may & YO_MAY_SEND)) {
        return YOMO_ERR_DENIED;
    }
    if (is_for_host(effect)) {
        return say_to_host(local, seat, effect);
    }
    rv = hook_message(local, seat, effect);
    if (rv != YOMO_OK) {
        return rv == YOMO_ERR_NOMEM ? rv : YOMO_ERR_DENIED;
    }
    if (yo_desk_full(&worker->office.desks[seat->room->home])) {
        return YOMO_ERR_FULL;
    }
    note = write_note(local, seat, effect);
    if (!note) {
        return YOMO_ERR_NOMEM;
    }
    yo_office_put(&worker->office, seat->room->home, note);
    return YOMO_OK;
}

void yo_local_publish(struct yo_local *local, struct yo_peer *peer,
                      const struct yo_effect *effect)
{
    struct yo_metrics *metrics = local->worker->metrics;
    struct yo_seat *seat = yo_seat_named(local, peer, effect->room);
    int rv = seat ? say(local, seat, effect) : YOMO_ERR_NOT_FOUND;

    switch (rv) {
    case YOMO_OK:
        yo_metric_add(effect->delivery == YOMO_RELIABLE ? &metrics->messages_reliable
                      : effect->delivery == YOMO_UNRELIABLE
                          ? &metrics->messages_unreliable
                          : &metrics->messages_latest,
                      1);
        return;
    case YOMO_ERR_FULL:
        yo_metric_add(&metrics->dropped_overload, 1);
        break;
    case YOMO_ERR_NOMEM:
        yo_metric_add(&metrics->dropped_memory, 1);
        break;
    case YOMO_ERR_NOT_FOUND:
        yo_metric_add(&metrics->dropped_not_joined, 1);
        break;
    default:
        yo_metric_add(&metrics->dropped_denied, 1);
        break;
    }
    if (effect->number != 0) {
        yo_local_answer(local, peer, YO_NOTE_CONFIRM, effect->room, effect->number, rv);
    } else if (effect->delivery == YOMO_RELIABLE &&
               (rv == YOMO_ERR_FULL || rv == YOMO_ERR_NOMEM)) {
        yo_peer_end(peer, YO_CODE_TRY_LATER, rv, "the server is overloaded");
    }
}
/* --- what the host may ask about a message ------------------------------------------
 */

const yomo_addressees *yomo_member_to(const yomo_member *member)
{
    return member ? member->to : NULL;
}

size_t yomo_addressees_count(const yomo_addressees *to)
{
    return to ? to->count : 0;
}

uint64_t yomo_addressees_session(const yomo_addressees *to, size_t index)
{
    return to && index < to->count ? to->list[index].session : 0;
}

const char *yomo_addressees_user(const yomo_addressees *to, size_t index)
{
    return to && index < to->count && to->list[index].session == 0
               ? to->names + to->list[index].user
               : "";
}
