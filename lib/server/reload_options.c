/* SPDX-License-Identifier: MIT */
/* reload_options.c - other options while the server runs.
 *
 * The happy path: the options in use are copied, the live ones of them take their new
 * values, and each worker gets a whole configuration of its own, read and checked here,
 * by letter. It takes it into its own place at the beginning of a turn, on its own
 * thread: what points to that place goes on pointing there, and nothing is shared.
 *
 * Possible failures: anything does not fit, or there is no memory. All of that is
 * before the first letter is posted; then nothing has changed. */
#include "base/check.h"
#include "options/table.h"
#include "server/events.h"
#include "server/handle.h"

struct config_letter {
    struct yo_letter letter;
    const struct yomo_mem *mem;
    struct yo_config config;
};

void yo_worker_drop_config(struct yo_worker *worker)
{
    if (worker->server && worker->own.options != worker->server->config.options) {
        yomo_options_free(worker->own.options);
    }
}

void yo_worker_take_config(struct yo_worker *worker, struct yo_config *config)
{
    struct yo_config *own = &worker->own;
    struct yo_config before = *own;

    *own = *config;
    memset(config, 0, sizeof(*config)); /* its options are the worker's now */
    /* Sessions and others keep these, and they do not change. */
    own->mem = before.mem;
    own->log = before.log;
    own->mesh = before.mesh;
    own->web_root = before.web_root;
    if (before.options != worker->server->config.options) {
        yomo_options_free(before.options);
    }
}

static void discard(struct yo_letter *letter)
{
    struct config_letter *taken = YO_CONTAINER(letter, struct config_letter, letter);

    yo_config_finish(&taken->config);
    yo_free(taken->mem, taken);
}

static void open_letter(struct yo_letter *letter, void *box_user, yo_time now)
{
    struct config_letter *taken = YO_CONTAINER(letter, struct config_letter, letter);

    (void)now;
    yo_worker_take_config(box_user, &taken->config);
    discard(letter);
}

static void discard_all(struct yo_link *letters)
{
    struct yo_link *link;

    while ((link = yo_list_pop_front(letters)) != NULL) {
        discard(YO_CONTAINER(link, struct yo_letter, link));
    }
}

static int make_letter(struct yomo_server *server, const yomo_options *options,
                       struct yo_link *letters, struct yo_buf *why)
{
    const struct yo_config *config = &server->config;
    struct config_letter *letter = yo_calloc(config->mem, 1, sizeof(*letter));
    int rv;

    if (!letter) {
        return YOMO_ERR_NOMEM;
    }
    letter->letter.open = open_letter;
    letter->letter.discard = discard;
    letter->mem = config->mem;
    yo_list_push_back(letters, &letter->letter.link);
    rv = yo_config_init(&letter->config, options, &config->hooks, config->hooks_user);
    rv = rv == YOMO_OK ? yo_config_read(&letter->config, why) : rv;
    if (rv == YOMO_OK && letter->config.keys != config->keys) {
        (void)yo_buf_append_text(
            why, "keys: adding the first or removing the last needs a restart");
        rv = YOMO_ERR_OPTION;
    }
    if (rv == YOMO_OK &&
        !yo_options_text(options, "webhook-url") != !server->webhooks) {
        (void)yo_buf_append_text(
            why, "webhook-url: beginning or ending with it needs a restart");
        rv = YOMO_ERR_OPTION;
    }
    return rv;
}

static int make_rules(struct yomo_server *server, const struct yo_link *letters,
                      struct yo_app_rules **rules, struct yo_buf *why)
{
    const struct config_letter *any =
        YO_CONTAINER(YO_CONTAINER(letters->next, struct yo_letter, link),
                     struct config_letter, letter);

    return yo_config_app_rules(&any->config, server->config.mem, rules, why);
}

static void name(struct yo_buf *list, const char *option)
{
    (void)yo_buf_append_text(list, list->size > 0 ? ", " : "");
    (void)yo_buf_append_text(list, option);
}

/* The live ones of `from` into `to`; the names of those that differ into `changed`, of
 * others that do into `fixed`. */
static int merge(yomo_options *to, const yomo_options *from, struct yo_buf *changed,
                 struct yo_buf *fixed)
{
    const struct yo_option *row;

    for (size_t i = 0; (row = yo_option_at(YOMO_SCOPE_SERVER, i)) != NULL; i++) {
        const char *new = yomo_options_get(from, row->name);
        const char *old = yomo_options_get(to, row->name);
        bool set = yo_options_is_set(from, row->name);
        int rv;
        if (set == yo_options_is_set(to, row->name) && !new == !old &&
            (!new || strcmp(new, old) == 0)) {
            continue;
        }
        if (!yo_option_is_live(YOMO_SCOPE_SERVER, i)) {
            name(fixed, row->name);
            continue;
        }
        name(changed, row->name);
        rv = yomo_options_set(to, row->name, NULL);
        if (rv == YOMO_OK && set) {
            rv = yomo_options_set(to, row->name, new);
        }
        if (rv != YOMO_OK) {
            return rv;
        }
    }
    return changed->failed || fixed->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

static void post(struct yomo_server *server, struct yo_link *letters)
{
    struct yo_link *link;

    for (uint32_t i = 0; (link = yo_list_pop_front(letters)) != NULL; i++) {
        yo_mailbox_post(server->desks[i].box,
                        YO_CONTAINER(link, struct yo_letter, link));
    }
}

static void tell(const struct yo_log *log, const char *what, const struct yo_buf *names)
{
    if (names->size > 0) {
        YO_LOG(log, YOMO_LOG_INFO, "server", "%s: %.*s", what, (int)names->size,
               (const char *)names->data);
    }
}

void yo_server_not_reloaded(struct yomo_server *server, int rv, struct yo_buf *why)
{
    if (why->size == 0) {
        (void)yo_buf_append_text(why, yomo_strerror(rv));
    }
    (void)yo_buf_append_byte(why, 0);
    if (!why->failed) {
        YO_LOG(server->config.log, YOMO_LOG_ERROR, "server", "not reloaded: %s",
               (const char *)why->data);
        yo_buf_swap(&server->error, why);
    }
}

/* All that a reload needs, made before anything changes. */
struct plan {
    struct yo_link letters; /* a configuration for each worker */
    struct yo_app_rules *rules;
    struct yo_webhooks_change *hooks; /* NULL: there are none */
    struct yo_fresh *fresh;
};

static int make_plan(struct yomo_server *server, const yomo_options *options,
                     struct plan *plan, struct yo_buf *why)
{
    int rv = YOMO_OK;

    for (uint32_t i = 0; i < server->worker_count && rv == YOMO_OK; i++) {
        rv = make_letter(server, options, &plan->letters, why);
    }
    rv = rv == YOMO_OK ? make_rules(server, &plan->letters, &plan->rules, why) : rv;
    if (rv == YOMO_OK && server->webhooks) {
        rv = yo_server_prepare_webhooks(server, options, &plan->hooks, why);
    }
    return rv == YOMO_OK ? yo_fresh_read(server, &plan->fresh, why) : rv;
}

/* Nothing of it can fail. */
static void carry_out(struct yomo_server *server, struct plan *plan)
{
    yo_fresh_use(plan->fresh);
    post(server, &plan->letters);
    yo_apps_rule(server->apps, plan->rules);
    if (plan->hooks) {
        yo_webhooks_change(server->webhooks, plan->hooks);
    }
    *plan = (struct plan){.rules = NULL};
    yo_list_init(&plan->letters);
}

static void drop_plan(struct plan *plan)
{
    discard_all(&plan->letters);
    yo_app_rules_free(plan->rules);
    yo_webhooks_forget(plan->hooks);
    yo_fresh_free(plan->fresh);
}

/* `next` holds what is in use, and becomes what is. */
static int apply(struct yomo_server *server, const yomo_options *options,
                 yomo_options **next, struct yo_buf *changed, struct yo_buf *fixed)
{
    struct plan plan = {.rules = NULL};
    struct yo_buf why;
    yomo_options *old;
    int rv;

    yo_list_init(&plan.letters);
    yo_buf_init(&why, server->config.mem);
    rv = merge(*next, options, changed, fixed);
    rv = rv == YOMO_OK ? make_plan(server, *next, &plan, &why) : rv;
    if (rv == YOMO_OK) {
        carry_out(server, &plan);
        pthread_mutex_lock(&server->lock);
        old = server->applied;
        server->applied = *next;
        pthread_mutex_unlock(&server->lock);
        *next = old;
        yo_options_set_log_level(server->config.options,
                                 atomic_load_explicit(&yo_options_log(options)->level,
                                                      memory_order_relaxed));
    } else {
        yo_server_not_reloaded(server, rv, &why);
    }
    drop_plan(&plan);
    yo_buf_finish(&why);
    return rv;
}

int32_t yomo_server_reload_options(yomo_server *server, const yomo_options *options)
{
    struct yo_buf changed, fixed;
    yomo_options *next = NULL;
    int rv;

    YO_REQUIRE(server && options && yo_options_scope(options) == YOMO_SCOPE_SERVER);
    pthread_mutex_lock(&server->lock);
    rv = server->state == YO_SERVER_SERVING ? YOMO_OK : YOMO_ERR_STATE;
    if (rv == YOMO_OK) {
        next =
            yo_options_copy(server->applied ? server->applied : server->config.options);
        rv = next ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    pthread_mutex_unlock(&server->lock);
    if (rv != YOMO_OK) {
        return rv;
    }
    yo_buf_init(&changed, server->config.mem);
    yo_buf_init(&fixed, server->config.mem);
    rv = apply(server, options, &next, &changed, &fixed);
    if (rv == YOMO_OK) {
        tell(server->config.log, "options changed", &changed);
        tell(server->config.log, "options that differ and need a restart", &fixed);
    }
    yomo_options_free(next);
    yo_buf_finish(&changed);
    yo_buf_finish(&fixed);
    return rv;
}

int yo_server_read_apps(struct yomo_server *server, struct yo_buf *why)
{
    struct yo_app_rules *rules;
    int rv = yo_config_app_rules(&server->config, server->config.mem, &rules, why);

    if (rv == YOMO_OK) {
        yo_apps_rule(server->apps, rules);
    }
    return rv;
}

int yo_server_app(struct yomo_server *server, struct yo_span public_key, char **app)
{
    const struct yo_config *config = &server->config;
    struct yo_span found;
    int rv = YOMO_OK;

    *app = NULL;
    pthread_mutex_lock(&server->lock);
    found = !config->keys
                ? yo_span_of(YO_APP_DEFAULT)
                : yo_config_app_of(server->applied ? server->applied : config->options,
                                   public_key);
    if (found.data) {
        *app = yo_strndup(config->mem, found.data, found.size);
        rv = *app ? YOMO_OK : YOMO_ERR_NOMEM;
    }
    pthread_mutex_unlock(&server->lock);
    return rv;
}
