/* SPDX-License-Identifier: MIT */
/* pair.c
 *
 * The happy path: a message becomes a letter, the letters of a turn are posted at its
 * end; the other loop hands each message up and posts the letter back, which frees its
 * place in the sender's queue and tells the fate of a datagram. Failure modes: an end
 * that has closed sends letters back unread; a mailbox that was closed too early does
 * the same, and the sender then loses its peer.
 *
 * Invariants:
 *  1. ends[i] is read and written on loop i's thread only, but for its creation; it is
 *     NULL once that end's on_closed has come;
 *  2. each letter under way and each end that is not NULL holds a reference to the
 * pair;
 *  3. `farewell` of an end is posted at most once. */
#include "transport/memory/pair.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>

#define COST 64 /* of a message beside its bytes */
#define TEXT_MAX 123

struct pair;

struct end {
    struct yo_conn conn; /* first: a yo_conn is its end */
    struct pair *pair;
    int index;
    struct yo_loop *loop;
    struct yo_task task;
    struct yo_link outbox; /* letters to be posted at the end of the turn */
    size_t queued, wanted; /* wanted: bytes for which on_writable was promised */
    bool opening, due_open;
    bool closing; /* `why` is known, on_closed is due */
    struct yo_close why;
    char text[TEXT_MAX + 1];
};

struct letter {
    struct yo_letter letter;
    struct pair *pair;
    int to; /* which end it goes to now */
    uint32_t lane;
    uint64_t token;
    struct yo_blob *blob; /* NULL on the way back */
    size_t cost;
    bool lost; /* came back unread */
};

struct farewell {
    struct yo_letter letter;
    struct pair *pair;
    int to;
    struct yo_close how;
    char text[TEXT_MAX + 1];
};

struct pair {
    const struct yomo_mem *mem;
    atomic_uint refs;
    struct yo_memory_options options;
    struct yo_mailbox *boxes[2];
    struct end *ends[2];
    struct farewell farewells[2]; /* by sender; closing needs no memory */
};

static void unref(struct pair *pair)
{
    if (atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) == 1) {
        yo_mailbox_unref(pair->boxes[0]);
        yo_mailbox_unref(pair->boxes[1]);
        yo_free(pair->mem, pair);
    }
}

static void ref(struct pair *pair)
{
    atomic_fetch_add_explicit(&pair->refs, 1, memory_order_relaxed);
}

static bool is_datagram(const struct pair *pair, uint32_t lane)
{
    return lane == YO_LANE_DATAGRAM && pair->options.datagram_size_max > 0;
}

/* --- Letters ---------------------------------------------------------------------- */

static void set_why(struct end *end, const struct yo_close *why);
static void post_outbox(struct end *end);

static void free_letter(struct letter *letter)
{
    struct pair *pair = letter->pair;
    yo_blob_unref(letter->blob);
    yo_free(pair->mem, letter);
    unref(pair);
}

/* The sender learns what became of its message. */
static void on_return(struct letter *letter, struct end *end, yo_time now)
{
    end->queued -= letter->cost;
    if (letter->lost && !end->closing) {
        struct yo_close why = {
            .kind = YO_CLOSE_RETRY, .error = YOMO_ERR_CLOSED, .remote = true};
        set_why(end, &why);
    }
    if (letter->token && !end->closing && end->conn.events->on_fate) {
        end->conn.events->on_fate(end->conn.user, &end->conn, letter->token,
                                  YO_FATE_ACKED, now);
    }
    if (end->wanted && !end->closing) {
        yo_loop_defer(end->loop, &end->task);
    }
}

static void on_arrival(struct letter *letter, struct end *end, yo_time now)
{
    uint32_t lane = letter->lane < YO_LANE_ROOMS ? letter->lane : YO_LANE_ROOMS;
    if (lane == YO_LANE_DATAGRAM && !is_datagram(end->pair, lane)) {
        lane = YO_LANE_CONTROL;
    }
    if (!end->closing && end->conn.events->on_message) {
        end->conn.events->on_message(end->conn.user, &end->conn, lane,
                                     yo_blob_span(letter->blob), now);
    }
}

static void send_back(struct letter *letter, bool lost)
{
    yo_blob_unref(letter->blob);
    letter->blob = NULL;
    letter->lost = lost;
    letter->to ^= 1;
    yo_mailbox_post(letter->pair->boxes[letter->to], &letter->letter);
}

static void open_letter(struct yo_letter *opened, void *box_user, yo_time now)
{
    struct letter *letter = YO_CONTAINER(opened, struct letter, letter);
    struct end *end = letter->pair->ends[letter->to];
    (void)box_user;
    if (!letter->blob) {
        if (end) {
            on_return(letter, end, now);
        }
        free_letter(letter);
        return;
    }
    if (end) {
        on_arrival(letter, end, now);
    }
    send_back(letter, false);
}

static void discard_letter(struct yo_letter *discarded)
{
    struct letter *letter = YO_CONTAINER(discarded, struct letter, letter);
    if (letter->blob) {
        send_back(letter, true);
    } else {
        free_letter(letter);
    }
}

static void open_farewell(struct yo_letter *opened, void *box_user, yo_time now)
{
    struct farewell *farewell = YO_CONTAINER(opened, struct farewell, letter);
    struct pair *pair = farewell->pair;
    struct end *end = pair->ends[farewell->to];
    (void)box_user;
    (void)now;
    if (end) {
        set_why(end, &farewell->how);
    }
    unref(pair);
}

static void discard_farewell(struct yo_letter *discarded)
{
    unref(YO_CONTAINER(discarded, struct farewell, letter)->pair);
}

/* --- The end ---------------------------------------------------------------------- */

static struct yo_span keep_text(char kept[TEXT_MAX + 1], struct yo_span text)
{
    size_t size = text.size;
    if (size > TEXT_MAX) { /* whole characters only */
        size = TEXT_MAX;
        while (size > 0 && (text.data[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    if (size > 0) {
        memcpy(kept, text.data, size);
    }
    return size > 0 ? yo_span(kept, size) : YO_SPAN_NONE;
}

/* Letters that were not posted yet are taken back. */
static void drop_outbox(struct end *end)
{
    struct yo_link *link;
    while ((link = yo_list_pop_front(&end->outbox)) != NULL) {
        struct letter *letter = YO_CONTAINER(link, struct letter, letter.link);
        end->queued -= letter->cost;
        free_letter(letter);
    }
}

static void set_why(struct end *end, const struct yo_close *why)
{
    if (end->closing) {
        return;
    }
    end->closing = true;
    end->why = *why;
    end->why.text = keep_text(end->text, why->text);
    yo_loop_defer(end->loop, &end->task);
}

static void say_farewell(struct end *end, const struct yo_close *how)
{
    struct pair *pair = end->pair;
    struct farewell *farewell = &pair->farewells[end->index];
    farewell->letter.open = open_farewell;
    farewell->letter.discard = discard_farewell;
    farewell->pair = pair;
    farewell->to = end->index ^ 1;
    farewell->how = *how;
    farewell->how.text = keep_text(farewell->text, how->text);
    farewell->how.remote = true;
    farewell->how.farewell = yo_close_is_farewell(farewell->how.code);
    ref(pair);
    yo_mailbox_post(pair->boxes[farewell->to], &farewell->letter);
}

static void finish(struct end *end, yo_time now)
{
    struct pair *pair = end->pair;
    drop_outbox(end);
    if (end->conn.events->on_closed) {
        end->conn.events->on_closed(end->conn.user, &end->conn, &end->why, now);
    }
    yo_task_cancel(&end->task);
    pair->ends[end->index] = NULL;
    yo_free(pair->mem, end);
    unref(pair);
}

/* --- Calls ------------------------------------------------------------------------ */

static bool fits(const struct end *end, size_t size)
{
    size_t max = end->pair->options.queue_size_max;
    return end->queued == 0 || (end->queued < max && size <= max - end->queued);
}

static int memory_send(struct yo_conn *conn, uint32_t lane, struct yo_blob *message,
                       uint64_t token)
{
    struct end *end = (struct end *)conn;
    struct pair *pair = end->pair;
    size_t cost = message->size + COST;
    if (end->closing) {
        return YOMO_ERR_CLOSED;
    }
    if (end->opening) {
        return YOMO_ERR_AGAIN; /* on_open is the sign */
    }
    if (message->size > (is_datagram(pair, lane) ? pair->options.datagram_size_max
                                                 : pair->options.message_size_max)) {
        return YOMO_ERR_TOO_BIG;
    }
    if (!fits(end, cost)) {
        end->wanted = cost;
        return YOMO_ERR_AGAIN;
    }
    struct letter *letter = yo_calloc(pair->mem, 1, sizeof(*letter));
    if (!letter) {
        return YOMO_ERR_NOMEM;
    }
    letter->letter.open = open_letter;
    letter->letter.discard = discard_letter;
    letter->pair = pair;
    letter->to = end->index ^ 1;
    letter->lane = lane;
    letter->token = is_datagram(pair, lane) ? token : 0;
    letter->blob = yo_blob_ref(message);
    letter->cost = cost;
    ref(pair);
    end->queued += cost;
    yo_list_push_back(&end->outbox, &letter->letter.link);
    yo_loop_defer(end->loop, &end->task);
    return YOMO_OK;
}

static void post_outbox(struct end *end)
{
    yo_mailbox_post_list(end->pair->boxes[end->index ^ 1], &end->outbox);
}

static void memory_flush(struct yo_conn *conn, yo_time now)
{
    struct end *end = (struct end *)conn;
    (void)now;
    if (!end->closing) {
        post_outbox(end);
    }
}

static void memory_end_lane(struct yo_conn *conn, uint32_t lane)
{
    (void)conn; /* a lane holds nothing */
    (void)lane;
}

static size_t memory_queued(const struct yo_conn *conn)
{
    return ((const struct end *)conn)->queued;
}

static void memory_info(const struct yo_conn *conn, struct yo_conn_info *info)
{
    const struct yo_memory_options *options =
        &((const struct end *)conn)->pair->options;
    memset(info, 0, sizeof(*info));
    info->transport = YOMO_TRANSPORT_MEMORY;
    info->secure = true; /* nobody else sees it */
    info->datagrams = options->datagram_size_max > 0;
    info->datagram_size_max =
        info->datagrams ? options->datagram_size_max : options->message_size_max;
    snprintf(info->address, sizeof(info->address), "memory");
}

static void memory_close(struct yo_conn *conn, const struct yo_close *how)
{
    struct end *end = (struct end *)conn;
    if (end->closing) {
        return;
    }
    if (how->kind == YO_CLOSE_RETRY) {
        drop_outbox(end);
    }
    post_outbox(end);
    say_farewell(end, how);
    struct yo_close why = *how;
    why.remote = false;
    set_why(end, &why);
}

static void memory_abort(struct yo_conn *conn)
{
    static const struct yo_close dead = {.kind = YO_CLOSE_RETRY,
                                         .error = YOMO_ERR_CLOSED};
    struct end *end = (struct end *)conn;
    if (!end->closing) {
        drop_outbox(end);
        say_farewell(end, &dead);
        set_why(end, &dead);
    }
}

static const struct yo_conn_ops ops = {memory_send,   memory_flush, memory_end_lane,
                                       memory_queued, memory_info,  memory_close,
                                       memory_abort,  NULL,         NULL};

static void on_task(struct yo_task *task, yo_time now)
{
    struct end *end = YO_CONTAINER(task, struct end, task);
    if (end->closing) {
        finish(end, now);
        return;
    }
    if (end->due_open) {
        end->due_open = end->opening = false;
        if (end->conn.events->on_open) {
            end->conn.events->on_open(end->conn.user, &end->conn, now);
        }
    }
    post_outbox(end);
    if (end->wanted && !end->closing && fits(end, end->wanted) &&
        end->queued <= end->pair->options.queue_size_max / 2) {
        end->wanted = 0;
        if (end->conn.events->on_writable) {
            end->conn.events->on_writable(end->conn.user, &end->conn, now);
        }
    }
}

/* --- Life ------------------------------------------------------------------------- */

/* The client's on_open, from its loop. */
static void open_hello(struct yo_letter *opened, void *box_user, yo_time now)
{
    struct letter *letter = YO_CONTAINER(opened, struct letter, letter);
    struct end *end = letter->pair->ends[letter->to];
    (void)box_user;
    (void)now;
    if (end && !end->closing) {
        end->due_open = true;
        yo_loop_defer(end->loop, &end->task);
    }
    free_letter(letter);
}

static void discard_hello(struct yo_letter *discarded)
{
    free_letter(YO_CONTAINER(discarded, struct letter, letter));
}

static struct end *new_end(struct pair *pair, int index,
                           const struct yo_memory_side *side)
{
    struct end *end = yo_calloc(pair->mem, 1, sizeof(*end));
    if (!end) {
        return NULL;
    }
    end->conn = (struct yo_conn){&ops, side->events, side->user};
    end->pair = pair;
    end->index = index;
    end->loop = side->loop;
    end->opening = index == 1;
    yo_task_init(&end->task, on_task);
    yo_list_init(&end->outbox);
    return end;
}

int yo_memory_pair(struct yo_conn *conns[2], const struct yomo_mem *mem,
                   const struct yo_memory_options *options,
                   const struct yo_memory_side sides[2])
{
    struct pair *pair = yo_calloc(mem, 1, sizeof(*pair));
    struct letter *hello = yo_calloc(mem, 1, sizeof(*hello));
    if (!pair || !hello) {
        yo_free(mem, pair);
        yo_free(mem, hello);
        return YOMO_ERR_NOMEM;
    }
    pair->mem = mem;
    pair->options = *options;
    for (int i = 0; i < 2; i++) {
        pair->ends[i] = new_end(pair, i, &sides[i]);
    }
    if (!pair->ends[0] || !pair->ends[1]) {
        yo_free(mem, pair->ends[0]);
        yo_free(mem, pair->ends[1]);
        yo_free(mem, hello);
        yo_free(mem, pair);
        return YOMO_ERR_NOMEM;
    }
    atomic_init(&pair->refs, 3); /* both ends, and the letter */
    for (int i = 0; i < 2; i++) {
        pair->boxes[i] = yo_mailbox_ref(sides[i].box);
        conns[i] = &pair->ends[i]->conn;
    }
    hello->letter.open = open_hello;
    hello->letter.discard = discard_hello;
    hello->pair = pair;
    hello->to = 1;
    yo_mailbox_post(pair->boxes[1], &hello->letter);
    return YOMO_OK;
}
