/* SPDX-License-Identifier: MIT */
#include "fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

static int conn_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                     uint64_t token)
{
    struct fake_conn *fake = (struct fake_conn *)conn;
    if (fake->closing || fake->aborted) {
        return YOMO_ERR_CLOSED;
    }
    if (fake->send_result != YOMO_OK) {
        return fake->send_result;
    }
    if (lane == YO_LANE_DATAGRAM && message->size > fake->datagram_size_max) {
        return YOMO_ERR_TOO_BIG;
    }
    assert_true(fake->sent_count < FAKE_SENT_MAX);
    struct yo_blob *copy = yo_blob_create(fake->dialer->mem, yo_blob_span(message));
    fake->sent[fake->sent_count++] = (struct fake_sent){lane, token, copy};
    return YOMO_OK;
}

static void conn_flush(struct yo_conn *conn, yo_time now)
{
    (void)conn, (void)now;
}

static void conn_end_lane(struct yo_conn *conn, uint32_t lane)
{
    ((struct fake_conn *)conn)->ended_lane = lane;
}

static size_t conn_queued(const struct yo_conn *conn)
{
    (void)conn;
    return 0;
}

static void conn_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct fake_conn *fake = (const struct fake_conn *)conn;
    *info = (struct yo_conn_info){
        .transport = fake->kind,
        .datagrams = fake->datagram_size_max > 0,
        .datagram_size_max = fake->datagram_size_max,
        .address = "fake",
    };
}

static void conn_close(struct yo_conn *conn, const struct yo_close *how)
{
    struct fake_conn *fake = (struct fake_conn *)conn;
    if (!fake->closing) {
        fake->closing = true;
        fake->how = *how;
        fake->how.text = YO_SPAN_NONE;
    }
}

static void conn_abort(struct yo_conn *conn)
{
    ((struct fake_conn *)conn)->aborted = true;
}

static const struct yo_conn_ops ops = {
    .send = conn_send,
    .flush = conn_flush,
    .end_lane = conn_end_lane,
    .queued = conn_queued,
    .info = conn_info,
    .close = conn_close,
    .abort = conn_abort,
};

static int dial(void *user, struct yo_conn **out, enum yomo_transport_kind kind,
                const struct yo_conn_events *events, void *events_user)
{
    struct fake_dialer *dialer = user;
    if (dialer->dial_result != YOMO_OK) {
        return dialer->dial_result;
    }
    struct fake_conn *fake = yo_calloc(dialer->mem, 1, sizeof(*fake));
    if (!fake) {
        return YOMO_ERR_NOMEM;
    }
    assert_true(dialer->count < FAKE_CONNS_MAX);
    dialer->conns[dialer->count++] = fake;
    fake->conn.ops = &ops;
    fake->dialer = dialer;
    fake->kind = kind;
    fake->datagram_size_max = kind == YOMO_TRANSPORT_WEBTRANSPORT ? 1200 : 0;
    yo_conn_listen(&fake->conn, events, events_user);
    *out = &fake->conn;
    return YOMO_OK;
}

void fake_init(struct fake_dialer *dialer, const struct yomo_mem *mem)
{
    *dialer = (struct fake_dialer){.mem = mem};
    dialer->dialer = (struct yo_dialer){dial, dialer};
}

void fake_finish(struct fake_dialer *dialer)
{
    for (size_t i = 0; i < dialer->count; i++) {
        struct fake_conn *fake = dialer->conns[i];
        assert_true(fake->ended);
        for (size_t j = 0; j < fake->sent_count; j++) {
            yo_blob_unref(fake->sent[j].message);
        }
        yo_free(dialer->mem, fake);
    }
    dialer->count = 0;
}

struct fake_conn *fake_last(struct fake_dialer *dialer, enum yomo_transport_kind kind)
{
    for (size_t i = dialer->count; i > 0; i--) {
        struct fake_conn *fake = dialer->conns[i - 1];
        if (fake->kind == kind && !fake->ended) {
            return fake;
        }
    }
    fail_msg("nothing was dialled over %d", (int)kind);
    return NULL;
}

void fake_open(struct fake_conn *fake, yo_time now)
{
    fake->conn.events->on_open(fake->conn.user, &fake->conn, now);
}

void fake_message(struct fake_conn *fake, uint32_t lane, struct yo_span message,
                  yo_time now)
{
    fake->conn.events->on_message(fake->conn.user, &fake->conn, lane, message, now);
}

void fake_fate(struct fake_conn *fake, uint64_t token, enum yo_fate fate, yo_time now)
{
    fake->conn.events->on_fate(fake->conn.user, &fake->conn, token, fate, now);
}

void fake_writable(struct fake_conn *fake, yo_time now)
{
    fake->send_result = YOMO_OK;
    fake->conn.events->on_writable(fake->conn.user, &fake->conn, now);
}

static void end(struct fake_conn *fake, const struct yo_close *why, yo_time now)
{
    assert_false(fake->ended);
    fake->ended = true;
    fake->conn.events->on_closed(fake->conn.user, &fake->conn, why, now);
}

void fake_closed(struct fake_conn *fake, enum yo_close_kind kind, int error,
                 const char *text, yo_time now)
{
    const struct yo_close why = {
        .kind = kind, .error = error, .text = yo_span_of(text), .remote = true};
    end(fake, &why, now);
}

void fake_settle(struct fake_dialer *dialer, yo_time now)
{
    for (size_t i = 0; i < dialer->count; i++) {
        struct fake_conn *fake = dialer->conns[i];
        if (!fake->ended && (fake->closing || fake->aborted)) {
            const struct yo_close aborted = {.kind = YO_CLOSE_RETRY,
                                             .error = YOMO_ERR_CLOSED};
            end(fake, fake->aborted ? &aborted : &fake->how, now);
        }
    }
}
