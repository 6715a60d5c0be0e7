/* SPDX-License-Identifier: MIT */
/* apps.c - invariants, under the lock:
 *  1. an application is in `idle` exactly while nobody has a reference to it;
 *  2. its counts are those of its references, or less;
 *  3. there are at most YO_APPS_IDLE_MAX idle ones: those that were idle longest give
 * way, with what they had used up and what was counted. */
#include "server/apps.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <yomo/error.h>

#include "options/value.h"

/* --- rules ----------------------------------------------------------------------- */

static_assert((int)YO_APP_LIMITS == YO_APP_LIMIT_WORDS, "a word for each");

struct rule {
    struct yo_span app; /* in `text` */
    enum yo_app_limit what;
    uint64_t value;
};

struct yo_app_rules {
    const struct yomo_mem *mem;
    uint64_t most[YO_APP_LIMITS]; /* of any application */
    struct rule *list;            /* of some: the last one of the same wins */
    size_t count;
    char *text;
};

void yo_app_rules_free(struct yo_app_rules *rules)
{
    if (rules) {
        yo_free(rules->mem, rules->list);
        yo_free(rules->mem, rules->text);
        yo_free(rules->mem, rules);
    }
}

static bool known(const yomo_options *options, const char *only, struct yo_span app)
{
    for (size_t i = 0;; i++) {
        struct yo_span item = yo_options_item(options, "keys", i);
        if (!item.data) {
            return i == 0 && yo_span_is(app, only);
        }
        if (item.size > app.size && item.data[app.size] == '=' &&
            yo_span_equal(yo_span(item.data, app.size), app)) {
            return true;
        }
    }
}

static int add_rule(struct yo_app_rules *rules, struct yo_span word, struct yo_buf *why)
{
    struct rule *list, rule;
    int what;

    if (rules->count == YO_APP_RULES_MAX) {
        (void)yo_buf_printf(why, "app-limits: more than %u", YO_APP_RULES_MAX);
        return YOMO_ERR_OPTION;
    }
    if (yo_value_app_limit(word, &rule.app, &what, &rule.value) != YOMO_OK) {
        (void)yo_buf_append_text(why,
                                 "app-limits: each one is written APP:LIMIT=NUMBER");
        return YOMO_ERR_OPTION;
    }
    rule.what = (enum yo_app_limit)what;
    list = yo_realloc(rules->mem, rules->list, (rules->count + 1) * sizeof(*list));
    if (!list) {
        return YOMO_ERR_NOMEM;
    }
    rules->list = list;
    list[rules->count++] = rule;
    return YOMO_OK;
}

/* The words are lent by the options, which may not live as long. */
static int read_rules(struct yo_app_rules *rules, const yomo_options *options,
                      bool closed, const char *only, struct yo_buf *why)
{
    struct yo_span text = yo_span_of(yomo_options_get(options, "app-limits")), rest,
                   word;
    int rv = YOMO_OK;

    if (!text.data) {
        return YOMO_OK;
    }
    rules->text = yo_strndup(rules->mem, text.data, text.size);
    if (!rules->text) {
        return YOMO_ERR_NOMEM;
    }
    rest = yo_span(rules->text, text.size);
    while (rv == YOMO_OK && yo_value_word(&rest, &word)) {
        const struct yo_span *app;
        rv = add_rule(rules, word, why);
        app = rv == YOMO_OK ? &rules->list[rules->count - 1].app : NULL;
        if (app && closed && !known(options, only, *app)) {
            (void)yo_buf_printf(why, "app-limits: there is no application \"%.*s\"",
                                (int)app->size, (const char *)app->data);
            rv = YOMO_ERR_OPTION;
        }
    }
    return rv;
}

int yo_app_rules_read(struct yo_app_rules **out, const struct yomo_mem *mem,
                      const yomo_options *options, bool closed, const char *only,
                      struct yo_buf *why)
{
    struct yo_app_rules *rules = yo_calloc(mem, 1, sizeof(*rules));
    int rv;

    if (!rules) {
        return YOMO_ERR_NOMEM;
    }
    rules->mem = mem;
    for (int i = 0; i < YO_APP_LIMITS; i++) {
        rules->most[i] = yo_options_number(options, yo_value_app_option(i));
    }
    rv = read_rules(rules, options, closed, only, why);
    if (rv != YOMO_OK) {
        yo_app_rules_free(rules);
        return rv;
    }
    *out = rules;
    return YOMO_OK;
}

/* --- applications ---------------------------------------------------------------- */

struct yo_apps {
    const struct yomo_mem *mem;
    pthread_mutex_t lock;
    struct yo_map map; /* of struct yo_app, by name */
    struct yo_link idle;
    size_t idle_count;
    struct yo_app_rules *rules; /* NULL: nothing is limited */
};

int yo_apps_create(struct yo_apps **out, const struct yomo_mem *mem)
{
    struct yo_apps *apps = yo_calloc(mem, 1, sizeof(*apps));

    if (!apps) {
        return YOMO_ERR_NOMEM;
    }
    if (pthread_mutex_init(&apps->lock, NULL) != 0) {
        yo_free(mem, apps);
        return YOMO_ERR_SYSTEM;
    }
    apps->mem = mem;
    yo_map_init(&apps->map, mem);
    yo_list_init(&apps->idle);
    *out = apps;
    return YOMO_OK;
}

static void forget(struct yo_apps *apps, struct yo_app *app)
{
    assert(app->refs == 0);
    yo_list_remove(&app->idle);
    apps->idle_count--;
    yo_map_remove(&apps->map, &app->node);
    yo_free(apps->mem, app);
}

void yo_apps_free(struct yo_apps *apps)
{
    if (!apps) {
        return;
    }
    while (!yo_list_empty(&apps->idle)) {
        forget(apps, YO_CONTAINER(apps->idle.next, struct yo_app, idle));
    }
    assert(apps->map.count == 0);
    yo_map_finish(&apps->map);
    yo_app_rules_free(apps->rules);
    pthread_mutex_destroy(&apps->lock);
    yo_free(apps->mem, apps);
}

static void apply(const struct yo_app_rules *rules, struct yo_app *app)
{
    uint64_t most[YO_APP_LIMITS];

    if (!rules) {
        return;
    }
    memcpy(most, rules->most, sizeof(most));
    for (size_t i = 0; i < rules->count; i++) {
        if (yo_span_equal(rules->list[i].app, yo_span(app->name, app->size))) {
            most[rules->list[i].what] = rules->list[i].value;
        }
    }
    app->most[YO_APP_CONNECTIONS] = most[YO_APP_CONNECTIONS];
    app->most[YO_APP_ROOMS] = most[YO_APP_ROOMS];
    yo_allowance_set(&app->rates.messages, most[YO_APP_MESSAGES]);
    yo_allowance_set(&app->rates.bytes, most[YO_APP_BYTES]);
}

void yo_apps_rule(struct yo_apps *apps, struct yo_app_rules *rules)
{
    struct yo_app_rules *old;

    pthread_mutex_lock(&apps->lock);
    old = apps->rules;
    apps->rules = rules;
    for (struct yo_map_node *node = yo_map_next(&apps->map, NULL); node;
         node = yo_map_next(&apps->map, node)) {
        apply(rules, YO_CONTAINER(node, struct yo_app, node));
    }
    pthread_mutex_unlock(&apps->lock);
    yo_app_rules_free(old);
}

static int find(struct yo_apps *apps, struct yo_span name, struct yo_app **out)
{
    struct yo_map_node *node = yo_map_get(&apps->map, name);
    struct yo_app *app;

    if (node) {
        *out = YO_CONTAINER(node, struct yo_app, node);
        return YOMO_OK;
    }
    app = yo_calloc(apps->mem, 1, sizeof(*app) + name.size + 1);
    if (!app) {
        return YOMO_ERR_NOMEM;
    }
    memcpy(app->name, name.data, name.size);
    app->size = name.size;
    if (yo_map_put(&apps->map, &app->node, yo_span(app->name, app->size)) != YOMO_OK) {
        yo_free(apps->mem, app);
        return YOMO_ERR_NOMEM;
    }
    apply(apps->rules, app);
    yo_list_init(&app->idle);
    yo_list_push_back(&apps->idle, &app->idle); /* until it has something */
    apps->idle_count++;
    *out = app;
    return YOMO_OK;
}

static void trim(struct yo_apps *apps)
{
    while (apps->idle_count > YO_APPS_IDLE_MAX) {
        forget(apps, YO_CONTAINER(apps->idle.next, struct yo_app, idle));
    }
}

int yo_apps_more(struct yo_apps *apps, struct yo_span name, enum yo_app_limit what,
                 struct yo_app **out)
{
    struct yo_app *app;
    int rv;

    assert(what <= YO_APP_ROOMS);
    pthread_mutex_lock(&apps->lock);
    rv = find(apps, name, &app);
    if (rv == YOMO_OK && app->most[what] > 0 && app->counts[what] >= app->most[what]) {
        yo_app_refuse(app, what);
        rv = YOMO_ERR_FULL;
    }
    if (rv == YOMO_OK) {
        if (app->refs++ == 0) {
            yo_list_remove(&app->idle);
            apps->idle_count--;
        }
        app->counts[what]++;
        *out = app;
    }
    trim(apps);
    pthread_mutex_unlock(&apps->lock);
    return rv;
}

void yo_apps_less(struct yo_apps *apps, struct yo_app *app, enum yo_app_limit what)
{
    pthread_mutex_lock(&apps->lock);
    assert(app->counts[what] > 0);
    app->counts[what]--;
    pthread_mutex_unlock(&apps->lock);
}

void yo_apps_unref(struct yo_apps *apps, struct yo_app *app)
{
    if (!app) {
        return;
    }
    pthread_mutex_lock(&apps->lock);
    assert(app->refs > 0);
    if (--app->refs == 0) {
        yo_list_push_back(&apps->idle, &app->idle);
        apps->idle_count++;
        trim(apps);
    }
    pthread_mutex_unlock(&apps->lock);
}

void yo_app_refuse(struct yo_app *app, enum yo_app_limit what)
{
    atomic_fetch_add_explicit(&app->refused[what], 1, memory_order_relaxed);
}

const char *yo_app_limit_text(enum yo_app_limit what)
{
    return what == YO_APP_CONNECTIONS
               ? "the application has too many connections (app-connections-max)"
               : "the application has too many rooms (app-rooms-max)";
}

void yo_apps_each(struct yo_apps *apps,
                  void (*see)(void *user, const struct yo_app *app), void *user)
{
    pthread_mutex_lock(&apps->lock);
    for (struct yo_map_node *node = yo_map_next(&apps->map, NULL); node;
         node = yo_map_next(&apps->map, node)) {
        see(user, YO_CONTAINER(node, struct yo_app, node));
    }
    pthread_mutex_unlock(&apps->lock);
}
