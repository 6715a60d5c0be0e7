/* SPDX-License-Identifier: MIT */
/* values.c - invariants, asserted by yo_values_check():
 *  1. what has data is in `values`, what has none in `locks` and in `until`; both are
 * in `by_key`, and `count` and `lock_count` say how many;
 *  2. versions grow along `values`;
 *  3. `bytes` is the sum over values, locks and those in line, and the bounds hold;
 *  4. nobody waits for a lock twice, or for one that it holds. */
#include "presence/values.h"

#include <string.h>

#include "base/check.h"

#define KEY_MAX 255u

enum { KIND_VALUE = 'v', KIND_LOCK = 'l' };

static struct yo_value *of_node(struct yo_map_node *node)
{
    return node ? YO_CONTAINER(node, struct yo_value, by_key) : NULL;
}

static struct yo_value *of_link(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_value, link);
}

static struct yo_lock_wait *wait_of(const struct yo_link *link)
{
    return YO_CONTAINER(link, struct yo_lock_wait, link);
}

static size_t weight_of(size_t key_size, const struct yo_blob *data)
{
    return YO_VALUE_SIZE + key_size + (data ? data->size : 0);
}

void yo_values_init(struct yo_values *values, const struct yomo_mem *mem,
                    const struct yo_values_bounds *bounds)
{
    *values = (struct yo_values){.mem = mem, .bounds = *bounds};
    yo_map_init(&values->by_key, mem);
    yo_heap_init(&values->until, mem);
    yo_list_init(&values->values);
    yo_list_init(&values->locks);
}

static void wait_free(struct yo_values *values, struct yo_value *lock,
                      struct yo_lock_wait *wait)
{
    yo_list_remove(&wait->link);
    lock->waiting--;
    values->bytes -= YO_WAIT_SIZE;
    yo_blob_unref(wait->who);
    yo_free(values->mem, wait);
}

/* Memory that is in none of the lists. */
static void value_free(struct yo_values *values, struct yo_value *value)
{
    yo_blob_unref(value->who);
    yo_blob_unref(value->data);
    yo_free(values->mem, value);
}

static void take_out(struct yo_values *values, struct yo_value *value)
{
    while (!yo_list_empty(&value->line)) {
        wait_free(values, value, wait_of(value->line.next));
    }
    yo_map_remove(&values->by_key, &value->by_key);
    yo_heap_remove(&values->until, &value->until);
    yo_list_remove(&value->link);
    values->count--;
    values->lock_count -= value->data == NULL;
    values->bytes -= weight_of(value->key_size, value->data);
    value_free(values, value);
}

void yo_values_finish(struct yo_values *values)
{
    struct yo_map_node *node;

    if (!values || !values->mem) {
        return;
    }
    while ((node = yo_map_next(&values->by_key, NULL)) != NULL) {
        take_out(values, of_node(node));
    }
    yo_map_finish(&values->by_key);
    yo_heap_finish(&values->until);
    *values = (struct yo_values){0};
}

struct yo_span yo_value_key(const struct yo_value *value)
{
    return yo_span(value->key + 1, value->key_size);
}

static struct yo_value *find(const struct yo_values *values, uint8_t kind,
                             struct yo_span key)
{
    uint8_t full[1 + KEY_MAX] = {kind};

    if (key.size == 0 || key.size > KEY_MAX) {
        return NULL;
    }
    memcpy(full + 1, key.data, key.size);
    return of_node(yo_map_get(&values->by_key, yo_span(full, 1 + key.size)));
}

struct yo_value *yo_values_get(const struct yo_values *values, struct yo_span key)
{
    return find(values, KIND_VALUE, key);
}

struct yo_value *yo_values_get_lock(const struct yo_values *values, struct yo_span key)
{
    return find(values, KIND_LOCK, key);
}

/* Room for `more` bytes when `less` of those that are there go. */
static bool fits(const struct yo_values *values, size_t more, size_t less)
{
    size_t rest = values->bytes - less;

    return rest <= values->bounds.bytes && more <= values->bounds.bytes - rest;
}

/* Put in a new one. YOMO_ERR_FULL, YOMO_ERR_NOMEM. */
static int put(struct yo_values *values, uint8_t kind, struct yo_span key,
               struct yo_blob *data, struct yo_value **out)
{
    size_t weight = weight_of(key.size, data);
    struct yo_value *value;

    if (values->count >= values->bounds.count || !fits(values, weight, 0)) {
        return YOMO_ERR_FULL;
    }
    value = yo_calloc(values->mem, 1, sizeof(*value) + 1 + key.size);
    if (!value) {
        return YOMO_ERR_NOMEM;
    }
    yo_list_init(&value->link);
    yo_list_init(&value->line);
    value->key[0] = kind;
    memcpy(value->key + 1, key.data, key.size);
    value->key_size = key.size;
    if ((kind == KIND_LOCK &&
         yo_heap_reserve(&values->until, values->lock_count + 1) != YOMO_OK) ||
        yo_map_put(&values->by_key, &value->by_key,
                   yo_span(value->key, 1 + key.size)) != YOMO_OK) {
        yo_free(values->mem, value);
        return YOMO_ERR_NOMEM;
    }
    if (data) {
        value->data = yo_blob_ref(data);
    }
    yo_list_push_back(data ? &values->values : &values->locks, &value->link);
    values->count++;
    values->lock_count += data == NULL;
    values->bytes += weight;
    *out = value;
    return YOMO_OK;
}

static void own(struct yo_value *value, uint64_t session, struct yo_blob *who)
{
    struct yo_blob *before = value->who;

    value->session = session;
    value->who = who ? yo_blob_ref(who) : NULL;
    yo_blob_unref(before);
}

static int replace(struct yo_values *values, struct yo_value *value,
                   struct yo_blob *data)
{
    if (!fits(values, data->size, value->data->size)) {
        return YOMO_ERR_FULL;
    }
    values->bytes = values->bytes - value->data->size + data->size;
    yo_blob_ref(data);
    yo_blob_unref(value->data);
    value->data = data;
    yo_list_remove(&value->link);
    yo_list_push_back(&values->values, &value->link);
    return YOMO_OK;
}

int yo_values_set(struct yo_values *values, const struct yo_value_wish *wish,
                  uint64_t version, uint64_t *current)
{
    struct yo_value *value = yo_values_get(values, wish->key);
    int rv = YOMO_OK;

    *current = value ? value->version : 0;
    if (wish->key.size == 0 || wish->key.size > KEY_MAX) {
        return YOMO_ERR_INVALID;
    }
    if (wish->conditional && wish->expected != *current) {
        return YOMO_ERR_CONFLICT;
    }
    if (!wish->data) {
        if (!value) {
            return YOMO_ERR_NOT_FOUND;
        }
        take_out(values, value);
        return YOMO_OK;
    }
    if (wish->data->size > values->bounds.value_size) {
        return YOMO_ERR_TOO_BIG;
    }
    rv = value ? replace(values, value, wish->data)
               : put(values, KIND_VALUE, wish->key, wish->data, &value);
    if (rv == YOMO_OK) {
        own(value, wish->session, wish->who);
        value->version = version;
    }
    return rv;
}

/* --- locks --- */

static struct yo_lock_wait *waits(const struct yo_value *lock, uint64_t session)
{
    YO_LIST_EACH(link, next, &lock->line)
    {
        if (wait_of(link)->session == session) {
            return wait_of(link);
        }
    }
    return NULL;
}

static int line_up(struct yo_values *values, struct yo_value *lock,
                   const struct yo_lock_wish *wish)
{
    struct yo_lock_wait *wait = waits(lock, wish->session);

    if (wait) {
        wait->lease = wish->lease;
        return YOMO_OK;
    }
    if (!wish->wait) {
        return YOMO_ERR_CONFLICT;
    }
    if (lock->waiting >= values->bounds.line || !fits(values, YO_WAIT_SIZE, 0)) {
        return YOMO_ERR_FULL;
    }
    wait = yo_calloc(values->mem, 1, sizeof(*wait));
    if (!wait) {
        return YOMO_ERR_NOMEM;
    }
    wait->session = wish->session;
    wait->who = wish->who ? yo_blob_ref(wish->who) : NULL;
    wait->lease = wish->lease;
    yo_list_push_back(&lock->line, &wait->link);
    lock->waiting++;
    values->bytes += YO_WAIT_SIZE;
    return YOMO_OK;
}

static void lease(struct yo_values *values, struct yo_value *lock, yo_time span,
                  yo_time now)
{
    int rv;

    lock->lease = span;
    rv = yo_heap_set(&values->until, &lock->until, yo_time_after(now, span));
    assert(rv == YOMO_OK); /* its room was reserved with the lock's */
    (void)rv;
}

int yo_values_lock(struct yo_values *values, const struct yo_lock_wish *wish,
                   uint64_t place, yo_time now, enum yo_lock_outcome *outcome,
                   uint64_t *version)
{
    struct yo_value *lock = yo_values_get_lock(values, wish->key);
    int rv;

    *version = lock ? lock->version : 0;
    if (wish->key.size == 0 || wish->key.size > KEY_MAX || wish->lease == 0) {
        return YOMO_ERR_INVALID;
    }
    if (lock && lock->session != wish->session) {
        *outcome = YO_LOCK_WAITS;
        return line_up(values, lock, wish);
    }
    if (lock) {
        *outcome = YO_LOCK_RENEWED;
        lease(values, lock, wish->lease, now);
        return YOMO_OK;
    }
    rv = put(values, KIND_LOCK, wish->key, NULL, &lock);
    if (rv == YOMO_OK) {
        *outcome = YO_LOCK_TAKEN;
        own(lock, wish->session, wish->who);
        *version = lock->version = place;
        lease(values, lock, wish->lease, now);
    }
    return rv;
}

uint64_t yo_lock_next(const struct yo_value *lock)
{
    return yo_list_empty(&lock->line) ? 0 : wait_of(lock->line.next)->session;
}

bool yo_values_pass(struct yo_values *values, struct yo_value *lock, uint64_t place,
                    yo_time now)
{
    struct yo_lock_wait *first;

    assert(!lock->data);
    if (yo_list_empty(&lock->line)) {
        take_out(values, lock);
        return false;
    }
    first = wait_of(lock->line.next);
    own(lock, first->session, first->who);
    lock->version = place;
    lease(values, lock, first->lease, now);
    wait_free(values, lock, first);
    return true;
}

bool yo_values_step_out(struct yo_values *values, struct yo_value *lock,
                        uint64_t session)
{
    struct yo_lock_wait *wait = waits(lock, session);

    if (wait) {
        wait_free(values, lock, wait);
    }
    return wait != NULL;
}

void yo_values_step_out_all(struct yo_values *values, uint64_t session)
{
    YO_LIST_EACH(link, next, &values->locks)
    {
        (void)yo_values_step_out(values, of_link(link), session);
    }
}

struct yo_value *yo_values_held_by(const struct yo_values *values, uint64_t session)
{
    YO_LIST_EACH(link, next, &values->locks)
    {
        if (of_link(link)->session == session) {
            return of_link(link);
        }
    }
    return NULL;
}

struct yo_value *yo_values_expired(const struct yo_values *values, yo_time now)
{
    struct yo_heap_node *node = yo_heap_first(&values->until);

    return node && node->when <= now ? YO_CONTAINER(node, struct yo_value, until)
                                     : NULL;
}

yo_time yo_values_deadline(const struct yo_values *values)
{
    const struct yo_heap_node *node = yo_heap_first(&values->until);

    return node ? node->when : YO_NEVER;
}

void yo_values_check(const struct yo_values *values)
{
    size_t count = 0, locks = 0, bytes = 0;
    uint64_t last = 0;

    YO_LIST_EACH(link, next, &values->values)
    {
        const struct yo_value *value = of_link(link);
        assert(value->data && value->version > last && value->waiting == 0);
        assert(yo_values_get(values, yo_value_key(value)) == value);
        last = value->version;
        count++;
        bytes += weight_of(value->key_size, value->data);
    }
    YO_LIST_EACH(link, next, &values->locks)
    {
        const struct yo_value *lock = of_link(link);
        size_t waiting = 0;
        assert(!lock->data && lock->until.place != 0);
        assert(yo_values_get_lock(values, yo_value_key(lock)) == lock);
        assert(!waits(lock, lock->session));
        YO_LIST_EACH(each, next_wait, &lock->line)
        {
            assert(waits(lock, wait_of(each)->session) == wait_of(each));
            waiting++;
            bytes += YO_WAIT_SIZE;
        }
        assert(waiting == lock->waiting && waiting <= values->bounds.line);
        locks++;
        bytes += weight_of(lock->key_size, NULL);
    }
    assert(count + locks == values->count && locks == values->lock_count);
    assert(values->count == values->by_key.count && locks == values->until.count);
    assert(bytes == values->bytes && bytes <= values->bounds.bytes);
    assert(values->count <= values->bounds.count);
    (void)bytes, (void)last, (void)count, (void)locks;
}
