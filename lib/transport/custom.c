/* SPDX-License-Identifier: MIT */
/* custom.c
 *
 * The happy path: the host reports from any thread, each report is a letter to the
 * loop; opened there, it becomes an event. What the library sends goes to the host's
 * function at once.
 *
 * Possible failures: no memory for a report, or more of them than YO_CARRIER_BYTES_MAX
 * waiting. Then a message is missing, so the connection is ended: `broken` is a letter
 * that needs no memory, posted once.
 *
 * Invariants:
 *  1. `refs` counts the host's side, the library's side and each letter under way;
 *  2. the host's functions are called on the loop's thread only, and none after
 * `close`;
 *  3. `state` and all below it belong to the loop's thread. */
#include "transport/custom.h"

#include <stdatomic.h>

#include "base/buf.h"
#include "base/check.h"

enum report {
    REPORT_OPENED,
    REPORT_MESSAGE,
    REPORT_WRITABLE,
    REPORT_CLOSED,
    REPORT_BROKEN
};

struct carrier_letter {
    struct yo_letter letter;
    yomo_carrier *carrier;
    enum report report;
    bool reliable;
    bool owned; /* allocated by itself: free it */
    uint32_t code;
    size_t size;
    uint8_t bytes[];
};

enum state { STATE_OPENING, STATE_OPEN, STATE_ENDING, STATE_ENDED };

struct yomo_carrier {
    struct yo_conn conn; /* first: a yo_conn is its carrier */
    const struct yomo_mem *mem;
    struct yo_mailbox *box;
    yomo_transport transport;
    size_t message_size_max;
    void (*on_release)(void *user);
    void *release_user;
    atomic_uint refs;
    atomic_size_t waiting; /* bytes of messages in letters */
    atomic_flag broken_posted;
    struct carrier_letter *closed, *broken; /* made in advance: these cannot fail */

    enum state state;
    bool held, writable_wanted;
    struct yo_loop *loop;
    void *connection;
    struct yo_task task;  /* the end, fates, and what was held back */
    struct yo_link early; /* messages that are held back */
    struct yo_buf tokens; /* of datagrams that the host took: told as acknowledged */
    struct yo_close why;
    char text[124];
};

static void unref(yomo_carrier *carrier)
{
    const struct yomo_mem *mem = carrier->mem;
    void (*on_release)(void *) = carrier->on_release;
    void *user = carrier->release_user;

    if (atomic_fetch_sub_explicit(&carrier->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    yo_free(mem, carrier->closed);
    yo_free(mem, carrier->broken);
    yo_buf_finish(&carrier->tokens);
    yo_mailbox_unref(carrier->box);
    yo_free(mem, carrier);
    if (on_release) {
        on_release(user);
    }
}

static void letter_free(struct carrier_letter *letter)
{
    yomo_carrier *carrier = letter->carrier;

    atomic_fetch_sub_explicit(&carrier->waiting, letter->size, memory_order_relaxed);
    if (letter->owned) {
        yo_free(carrier->mem, letter);
    }
    unref(carrier);
}

static void discard(struct yo_letter *letter)
{
    letter_free(YO_CONTAINER(letter, struct carrier_letter, letter));
}

/* The library's side is over, exactly once: what the host is told, and what the owner
 * of the connection is told, from the loop. */
static void end(yomo_carrier *carrier, const struct yo_close *why, const char *reason)
{
    size_t size = why->text.size < sizeof(carrier->text) - 1
                      ? why->text.size
                      : sizeof(carrier->text) - 1;
    uint32_t code = why->code;

    if (carrier->state >= STATE_ENDING) {
        return;
    }
    if (size > 0) {
        memcpy(carrier->text, why->text.data, size);
    }
    carrier->text[size] = '\0';
    carrier->why = *why;
    carrier->why.text = yo_span(carrier->text, size);
    carrier->state = STATE_ENDING;
    if (code == 0) {
        code = why->kind == YO_CLOSE_DONE    ? YO_CODE_NORMAL
               : why->kind == YO_CLOSE_RETRY ? YO_CODE_GOING_AWAY
                                             : YO_CODE_DENIED;
    }
    if (carrier->transport.close) {
        carrier->transport.close(carrier->connection, code,
                                 reason ? reason : carrier->text);
    }
    yo_loop_defer(carrier->loop, &carrier->task);
}

static void end_with(yomo_carrier *carrier, uint32_t code, int error, const char *text)
{
    struct yo_close why = {.kind = yo_close_kind_of(code),
                           .error = error,
                           .code = code,
                           .text = yo_span_of(text),
                           .remote = false};

    end(carrier, &why, NULL);
}

/* Hand a message over, or keep it while the owner holds. Takes the letter. */
static void message(yomo_carrier *carrier, struct carrier_letter *letter, yo_time now)
{
    if (carrier->held || !yo_list_empty(&carrier->early)) {
        yo_list_push_back(&carrier->early, &letter->letter.link);
        return;
    }
    if (letter->size > carrier->message_size_max) {
        end_with(carrier, YO_CODE_TOO_BIG, YOMO_ERR_TOO_BIG, "message too big");
    } else if (carrier->conn.events->on_message) {
        carrier->conn.events->on_message(carrier->conn.user, &carrier->conn,
                                         letter->reliable ? YO_LANE_CONTROL
                                                          : YO_LANE_DATAGRAM,
                                         yo_span(letter->bytes, letter->size), now);
    }
    letter_free(letter);
}

static void opened(yomo_carrier *carrier, yo_time now)
{
    if (carrier->state == STATE_OPENING) {
        carrier->state = STATE_OPEN;
        if (carrier->conn.events->on_open) {
            carrier->conn.events->on_open(carrier->conn.user, &carrier->conn, now);
        }
    }
}

static void closed_by_host(yomo_carrier *carrier, struct carrier_letter *letter)
{
    struct yo_close why = {.kind = yo_close_kind_of(letter->code),
                           .error = yo_close_error_of(letter->code),
                           .code = letter->code,
                           .text = yo_span_of((const char *)letter->bytes),
                           .remote = true,
                           .farewell = letter->code != 0 && /* 0: it was lost */
                                       yo_close_is_farewell(letter->code)};

    end(carrier, &why, NULL);
}

static void open_letter(struct yo_letter *opening, void *box_user, yo_time now)
{
    struct carrier_letter *letter =
        YO_CONTAINER(opening, struct carrier_letter, letter);
    yomo_carrier *carrier = letter->carrier;

    (void)box_user;
    if (carrier->loop && carrier->state < STATE_ENDING) {
        switch (letter->report) {
        case REPORT_OPENED:
            opened(carrier, now);
            break;
        case REPORT_MESSAGE:
            if (carrier->state == STATE_OPEN) {
                message(carrier, letter, now);
                return;
            }
            break;
        case REPORT_WRITABLE:
            if (carrier->writable_wanted && carrier->conn.events->on_writable) {
                carrier->writable_wanted = false;
                carrier->conn.events->on_writable(carrier->conn.user, &carrier->conn,
                                                  now);
            }
            break;
        case REPORT_CLOSED:
            closed_by_host(carrier, letter);
            break;
        case REPORT_BROKEN:
            end_with(carrier, YO_CODE_TRY_LATER, YOMO_ERR_FULL,
                     "more than can be handled");
            break;
        }
    }
    letter_free(letter);
}

/* Held messages go, then fates, then the end, if it is there. Any of the callbacks may
 * end the connection. */
static void run(struct yo_task *task, yo_time now)
{
    yomo_carrier *carrier = YO_CONTAINER(task, yomo_carrier, task);
    const struct yo_conn_events *events = carrier->conn.events;
    struct yo_link early, *link;

    yo_list_init(&early);
    if (!carrier->held || carrier->state == STATE_ENDING) {
        yo_list_splice(&early, &carrier->early);
    }
    while ((link = yo_list_pop_front(&early)) != NULL) {
        struct carrier_letter *letter =
            YO_CONTAINER(link, struct carrier_letter, letter.link);
        if (carrier->state == STATE_OPEN) {
            message(carrier, letter, now);
        } else {
            letter_free(letter);
        }
    }
    for (size_t at = 0; at < carrier->tokens.size && carrier->state == STATE_OPEN;
         at += sizeof(uint64_t)) {
        uint64_t token;
        memcpy(&token, carrier->tokens.data + at, sizeof(token));
        if (events->on_fate) {
            events->on_fate(carrier->conn.user, &carrier->conn, token, YO_FATE_ACKED,
                            now);
        }
    }
    yo_buf_clear(&carrier->tokens);
    if (carrier->state == STATE_ENDING) {
        carrier->state = STATE_ENDED;
        if (events->on_closed) {
            events->on_closed(carrier->conn.user, &carrier->conn, &carrier->why, now);
        }
        unref(carrier);
    }
}

static int conn_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *blob,
                     uint64_t token)
{
    yomo_carrier *carrier = (yomo_carrier *)conn;
    int rv;

    if (carrier->state != STATE_OPEN) {
        return YOMO_ERR_CLOSED;
    }
    if (blob->size > carrier->message_size_max) {
        return YOMO_ERR_TOO_BIG;
    }
    if (token != 0 && yo_buf_reserve(&carrier->tokens, sizeof(token)) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    rv = carrier->transport.send(carrier->connection, blob->data, blob->size,
                                 lane != YO_LANE_DATAGRAM);
    if (rv == YOMO_ERR_AGAIN) {
        carrier->writable_wanted = true;
        return rv;
    }
    if (rv != YOMO_OK) {
        end_with(carrier, YO_CODE_GOING_AWAY, YOMO_ERR_CLOSED, "the transport failed");
        return YOMO_ERR_CLOSED;
    }
    if (token != 0) {
        (void)yo_buf_append(&carrier->tokens, &token, sizeof(token));
        yo_loop_defer(carrier->loop, &carrier->task);
    }
    return YOMO_OK;
}

static void conn_flush(struct yo_conn *conn, yo_time now)
{
    (void)conn;
    (void)now;
}

static void conn_end_lane(struct yo_conn *conn, uint32_t lane)
{
    (void)conn;
    (void)lane;
}

static size_t conn_queued(const struct yo_conn *conn)
{
    (void)conn;
    return 0;
}

static void conn_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const yomo_carrier *carrier = (const yomo_carrier *)conn;

    memset(info, 0, sizeof(*info));
    info->transport = YOMO_TRANSPORT_CUSTOM;
    info->datagrams = true;
    info->datagram_size_max = carrier->message_size_max;
    strcpy(info->address, "custom");
}

static void conn_close(struct yo_conn *conn, const struct yo_close *how)
{
    end((yomo_carrier *)conn, how, NULL);
}

static void conn_abort(struct yo_conn *conn)
{
    struct yo_close how = {.kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED};

    end((yomo_carrier *)conn, &how, "");
}

static const struct yo_conn_ops carrier_ops = {
    .send = conn_send,
    .flush = conn_flush,
    .end_lane = conn_end_lane,
    .queued = conn_queued,
    .info = conn_info,
    .close = conn_close,
    .abort = conn_abort,
};

static struct carrier_letter *letter_make(yomo_carrier *carrier, enum report report,
                                          const void *bytes, size_t size, size_t room)
{
    struct carrier_letter *letter = yo_calloc(carrier->mem, 1, sizeof(*letter) + room);

    if (letter) {
        letter->letter.open = open_letter;
        letter->letter.discard = discard;
        letter->carrier = carrier;
        letter->report = report;
        letter->owned = true;
        letter->size = size;
        if (size > 0) {
            memcpy(letter->bytes, bytes, size);
        }
    }
    return letter;
}

int yo_carrier_create(yomo_carrier **out, const struct yomo_mem *mem,
                      struct yo_mailbox *box, const struct yo_carrier_options *options)
{
    yomo_carrier *carrier;

    YO_REQUIRE(options->transport->size >= sizeof(yomo_transport));
    YO_REQUIRE(options->transport->send);
    carrier = yo_calloc(mem, 1, sizeof(*carrier));
    if (!carrier) {
        return YOMO_ERR_NOMEM;
    }
    carrier->mem = mem;
    carrier->closed =
        letter_make(carrier, REPORT_CLOSED, NULL, 0, sizeof(carrier->text));
    carrier->broken = letter_make(carrier, REPORT_BROKEN, NULL, 0, 0);
    if (!carrier->closed || !carrier->broken) {
        yo_free(mem, carrier->closed);
        yo_free(mem, carrier->broken);
        yo_free(mem, carrier);
        return YOMO_ERR_NOMEM;
    }
    carrier->closed->owned = carrier->broken->owned = false;
    carrier->box = yo_mailbox_ref(box);
    carrier->transport = *options->transport;
    carrier->message_size_max = options->message_size_max;
    carrier->on_release = options->on_release;
    carrier->release_user = options->release_user;
    carrier->conn.ops = &carrier_ops;
    atomic_init(&carrier->refs, 2);
    atomic_init(&carrier->waiting, 0);
    atomic_flag_clear(&carrier->broken_posted);
    yo_list_init(&carrier->early);
    yo_buf_init(&carrier->tokens, mem);
    yo_task_init(&carrier->task, run);
    *out = carrier;
    return YOMO_OK;
}

void yo_carrier_discard(yomo_carrier *carrier)
{
    unref(carrier);
    unref(carrier);
}

struct yo_conn *yo_carrier_open(yomo_carrier *carrier, struct yo_loop *loop,
                                void *connection, bool opened,
                                const struct yo_conn_events *events, void *user)
{
    carrier->loop = loop;
    carrier->connection = connection;
    carrier->state = opened ? STATE_OPEN : STATE_OPENING;
    yo_conn_listen(&carrier->conn, events, user);
    return &carrier->conn;
}

void yo_carrier_reject(yomo_carrier *carrier, void *connection, uint32_t code,
                       const char *reason)
{
    if (carrier->transport.close) {
        carrier->transport.close(connection, code, reason);
    }
    unref(carrier);
}

void yo_carrier_hold(struct yo_conn *conn, bool held)
{
    yomo_carrier *carrier = (yomo_carrier *)conn;

    carrier->held = held;
    if (!held && !yo_list_empty(&carrier->early)) {
        yo_loop_defer(carrier->loop, &carrier->task);
    }
}

static void post(yomo_carrier *carrier, struct carrier_letter *letter)
{
    atomic_fetch_add_explicit(&carrier->refs, 1, memory_order_relaxed);
    yo_mailbox_post(carrier->box, &letter->letter);
}

static void break_off(yomo_carrier *carrier)
{
    if (!atomic_flag_test_and_set(&carrier->broken_posted)) {
        post(carrier, carrier->broken);
    }
}

static void report(yomo_carrier *carrier, enum report what)
{
    struct carrier_letter *letter = letter_make(carrier, what, NULL, 0, 0);

    if (letter) {
        post(carrier, letter);
    } else {
        break_off(carrier);
    }
}

void yomo_carrier_opened(yomo_carrier *carrier)
{
    report(carrier, REPORT_OPENED);
}

void yomo_carrier_message(yomo_carrier *carrier, const void *data, size_t size,
                          int32_t reliable)
{
    struct carrier_letter *letter;
    size_t waiting =
        atomic_fetch_add_explicit(&carrier->waiting, size, memory_order_relaxed);

    /* Past the limit of one message the size is all that the loop looks at. */
    letter = size > YO_CARRIER_BYTES_MAX - waiting || waiting > YO_CARRIER_BYTES_MAX
                 ? NULL
                 : letter_make(carrier, REPORT_MESSAGE, data, size, size);
    if (letter) {
        letter->reliable = reliable != 0;
        post(carrier, letter);
    } else {
        atomic_fetch_sub_explicit(&carrier->waiting, size, memory_order_relaxed);
        if (reliable) {
            break_off(carrier);
        }
    }
}

void yomo_carrier_writable(yomo_carrier *carrier)
{
    report(carrier, REPORT_WRITABLE);
}

void yomo_carrier_closed(yomo_carrier *carrier, uint32_t code, const char *reason)
{
    struct carrier_letter *letter = carrier->closed;

    letter->code = code;
    if (reason) {
        strncpy((char *)letter->bytes, reason, sizeof(carrier->text) - 1);
    }
    post(carrier, letter);
    unref(carrier);
}
