/* SPDX-License-Identifier: MIT */
/* request.c
 *
 * A client's request is only data until it is connected. A server's is answered on the
 * loop's thread at once, from another thread by a slip, like everything (hub.h): the
 * session that is then handed out stands before the client was told. */
#include "sessions/request.h"

#include "base/check.h"
#include "base/pairs.h"
#include "base/url.h"

static void run_slip(struct yo_slip *slip, yo_time now);

static char *copy(const struct yomo_wt_request *request, struct yo_span text)
{
    return yo_strndup(&request->mem, text.size > 0 ? (const void *)text.data : "",
                      text.size);
}

static struct yomo_wt_request *create(const struct yomo_mem *mem)
{
    struct yomo_wt_request *request = yo_calloc(mem, 1, sizeof(*request));
    if (request) {
        request->mem = *mem;
        atomic_init(&request->refs, 1);
        yo_slip_init(&request->slip, run_slip);
        yo_fields_init(&request->came, &request->mem);
        yo_fields_init(&request->sent, &request->mem);
        yo_fields_init(&request->offers, &request->mem);
    }
    return request;
}

static void unref(struct yomo_wt_request *request)
{
    if (atomic_fetch_sub_explicit(&request->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    struct yomo_mem mem = request->mem;
    char *const texts[] = {request->host,    request->path,   request->authority,
                           request->query,   request->origin, request->address,
                           request->protocol};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        yo_free(&mem, texts[i]);
    }
    yo_fields_finish(&request->came);
    yo_fields_finish(&request->sent);
    yo_fields_finish(&request->offers);
    yo_hub_unref(request->hub);
    yo_free(&mem, request);
}

/* --- A client's ------------------------------------------------------------------- */

static int take_url(struct yomo_wt_request *request, const char *text)
{
    struct yo_url url;
    struct yo_buf path;
    int rv = yo_url_parse(&url, yo_span_of(text));
    if (rv != YOMO_OK) {
        return rv;
    }
    if (!yo_span_equal_nocase(url.scheme, yo_span_of("https")) || url.host.size == 0) {
        return YOMO_ERR_URL;
    }
    yo_buf_init(&path, &request->mem);
    yo_buf_append_span(&path, url.path.size > 0 ? url.path : yo_span_of("/"));
    if (url.query.data) {
        yo_buf_append_byte(&path, '?');
        yo_buf_append_span(&path, url.query);
    }
    request->port = url.port ? url.port : 443;
    request->host = copy(request, url.host);
    request->path = path.failed ? NULL : copy(request, yo_buf_span(&path));
    yo_buf_finish(&path);
    return request->host && request->path ? YOMO_OK : YOMO_ERR_NOMEM;
}

int32_t yomo_wt_request_create(yomo_wt_request **out, const char *url)
{
    YO_REQUIRE(out && url);
    struct yomo_wt_request *request = create(&yo_mem_libc);
    if (!request) {
        return YOMO_ERR_NOMEM;
    }
    int rv = take_url(request, url);
    if (rv != YOMO_OK) {
        unref(request);
        return rv;
    }
    *out = request;
    return YOMO_OK;
}

static bool offered(const struct yomo_wt_request *request, const char *protocol)
{
    const char *name;
    for (uint32_t i = 0; (name = yo_fields_name(&request->offers, i)) != NULL; i++) {
        if (strcmp(name, protocol) == 0) {
            return true;
        }
    }
    return false;
}

int32_t yomo_wt_request_offer(yomo_wt_request *request, const char *protocol)
{
    YO_REQUIRE(request && !request->hub && protocol);
    YO_REQUIRE(yo_subprotocol_valid(yo_span_of(protocol)) &&
               !offered(request, protocol));
    if (request->offers.count >= YO_REQUEST_OFFERS_MAX) {
        return YOMO_ERR_FULL;
    }
    return yo_fields_add(&request->offers, yo_span_of(protocol), yo_span_of(""));
}

int yo_request_list_offers(const struct yomo_wt_request *request, struct yo_buf *list)
{
    const char *name;
    for (uint32_t i = 0; (name = yo_fields_name(&request->offers, i)) != NULL; i++) {
        (void)yo_buf_append(list, name, strlen(name) + 1);
    }
    return list->failed ? YOMO_ERR_NOMEM : YOMO_OK;
}

void yomo_wt_request_share(yomo_wt_request *request, int32_t on)
{
    if (request && !request->hub) {
        request->share = on != 0;
    }
}

void yomo_wt_request_free(yomo_wt_request *request)
{
    if (request && !request->hub) {
        unref(request);
    }
}

/* --- Headers ---------------------------------------------------------------------- */

/* RFC 9110 5.6.2, in lower case (RFC 9114 4.2). */
static bool name_is_valid(const char *name)
{
    for (const char *at = name; *at; at++) {
        bool letter = *at >= 'a' && *at <= 'z', digit = *at >= '0' && *at <= '9';
        if (!letter && !digit && !strchr("!#$%&'*+-.^_`|~", *at)) {
            return false;
        }
    }
    return *name != '\0';
}

/* Those that HTTP/3 forbids (RFC 9114 4.2) or that the library says itself. */
static bool name_is_ours(const char *name)
{
    static const char *const ours[] = {
        "connection",       "content-length",    "host",    "keep-alive", "origin",
        "proxy-connection", "transfer-encoding", "upgrade", "te",         "trailer",
        "capsule-protocol",
    };
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strcmp(name, ours[i]) == 0) {
            return true;
        }
    }
    return strncmp(name, "wt-", 3) == 0 || strncmp(name, "sec-", 4) == 0;
}

/* RFC 9110 5.5: visible characters and what is above ASCII, with blanks between. */
static bool value_is_valid(const char *value)
{
    size_t size = strlen(value);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return size == 0 || (!strchr(" \t", value[0]) && !strchr(" \t", value[size - 1]));
}

int32_t yomo_wt_request_set_status(yomo_wt_request *request, int32_t status)
{
    YO_REQUIRE(request && request->hub && status >= 200 && status <= 299);
    request->yes = status;
    return YOMO_OK;
}

int32_t yomo_wt_request_set_header(yomo_wt_request *request, const char *name,
                                   const char *value)
{
    YO_REQUIRE(request && name && value);
    YO_REQUIRE(name_is_valid(name) && !name_is_ours(name) && value_is_valid(value));
    size_t size = strlen(name) + strlen(value) + 32;
    if (size > YO_REQUEST_FIELDS_MAX - request->sent_size ||
        request->sent.count >= YO_REQUEST_FIELDS_COUNT) {
        return YOMO_ERR_FULL;
    }
    int rv = yo_fields_add(&request->sent, yo_span_of(name), yo_span_of(value));
    if (rv == YOMO_OK) {
        request->sent_size += size;
    }
    return rv;
}

const char *yomo_wt_request_header_name(const yomo_wt_request *request, uint32_t index)
{
    return request ? yo_fields_name(&request->came, index) : NULL;
}

const char *yomo_wt_request_header_value(const yomo_wt_request *request, uint32_t index)
{
    return request ? yo_fields_value(&request->came, index) : NULL;
}

/* --- A server's ------------------------------------------------------------------- */

static const char *text_of(const char *text)
{
    return text ? text : "";
}

const char *yomo_wt_request_authority(const yomo_wt_request *request)
{
    return text_of(request ? request->authority : NULL);
}

const char *yomo_wt_request_path(const yomo_wt_request *request)
{
    return text_of(request ? request->path : NULL);
}

const char *yomo_wt_request_query(const yomo_wt_request *request)
{
    return text_of(request ? request->query : NULL);
}

const char *yomo_wt_request_origin(const yomo_wt_request *request)
{
    return text_of(request ? request->origin : NULL);
}

const char *yomo_wt_request_address(const yomo_wt_request *request)
{
    return text_of(request ? request->address : NULL);
}

const char *yomo_wt_request_offered(const yomo_wt_request *request, uint32_t index)
{
    return request ? yo_fields_name(&request->offers, index) : NULL;
}

/* A field that came in several lines is one, with commas between (RFC 9110 5.2). What
 * is not a list is passed over as a whole (draft-ietf-webtrans-http3-16 3.3). */
static int read_offers(struct yomo_wt_request *request, struct yo_span fields)
{
    struct yo_span name, value;
    struct yo_buf all, list;
    yo_buf_init(&all, &request->mem);
    yo_buf_init(&list, &request->mem);
    while (yo_pairs_next(&fields, &name, &value)) {
        if (yo_span_is(name, "wt-available-protocols")) {
            (void)yo_buf_append_text(&all, all.size > 0 ? ", " : "");
            (void)yo_buf_append_span(&all, value);
        }
    }
    int rv = all.failed ? YOMO_ERR_NOMEM : YOMO_OK;
    if (rv == YOMO_OK && all.size > 0) {
        rv = yo_subprotocols_read(&list, yo_buf_span(&all));
        rv = rv == YOMO_ERR_INVALID ? YOMO_OK : rv;
    }
    struct yo_span rest = yo_buf_span(&list), offer;
    while (rv == YOMO_OK && (offer = yo_subprotocols_next(&rest)).data) {
        rv = yo_fields_add(&request->offers, offer, yo_span_of(""));
    }
    yo_buf_finish(&all);
    yo_buf_finish(&list);
    return rv;
}

int yo_request_create(struct yomo_wt_request **out, struct yo_house *house,
                      const struct yo_request *asked, const struct yo_request_ops *ops,
                      void *user)
{
    struct yomo_wt_request *request = create(&house->hub->mem);
    if (!request) {
        return YOMO_ERR_NOMEM;
    }
    request->house = house;
    request->hub = yo_hub_ref(house->hub);
    request->ops = ops;
    request->user = user;
    request->authority = copy(request, asked->authority);
    request->path = copy(request, asked->path);
    request->query = copy(request, asked->query);
    request->origin = copy(request, asked->origin);
    request->address = copy(request, asked->address);
    int rv = request->authority && request->path && request->query && request->origin &&
                     request->address
                 ? yo_fields_read(&request->came, asked->fields)
                 : YOMO_ERR_NOMEM;
    rv = rv == YOMO_OK ? read_offers(request, asked->fields) : rv;
    if (rv != YOMO_OK) {
        unref(request);
        return rv;
    }
    atomic_store_explicit(&request->refs, 2, memory_order_relaxed);
    *out = request;
    return YOMO_OK;
}

void yo_request_done(struct yomo_wt_request *request)
{
    yo_hub_lock(request->hub);
    request->gone = true;
    yo_hub_leave(request->hub);
    unref(request);
}

/* The headers that were set, as a response wants them: name, value, ..., NULL.
 * Ownership: the caller's. NULL: no memory. */
static const char **list_headers(const struct yomo_wt_request *request)
{
    const struct yo_session_fields *sent = &request->sent;
    const char **list =
        yo_calloc(&request->mem, 2 * (size_t)sent->count + 1, sizeof(*list));
    for (uint32_t i = 0; list && i < sent->count; i++) {
        list[2 * i] = yo_fields_name(sent, i);
        list[2 * i + 1] = yo_fields_value(sent, i);
    }
    return list;
}

static int accept_now(struct yomo_wt_request *request, yo_time now)
{
    struct yomo_wt_session *session = request->session;
    const char **headers = list_headers(request);
    struct yo_wt_session *engine = NULL;
    if (headers && !request->gone) {
        struct yo_response response = {.status = request->yes ? request->yes : 200,
                                       .headers = headers,
                                       .protocol = session->protocol};
        engine = request->ops->accept(request->user, &response);
    }
    yo_free(&request->mem, headers);
    if (!engine) {
        return headers ? YOMO_ERR_CLOSED : YOMO_ERR_NOMEM;
    }
    yo_house_add(request->house, session);
    yo_session_bind(session, engine);
    yo_session_opened(session, false, now);
    return YOMO_OK;
}

static void refuse_now(struct yomo_wt_request *request, int status)
{
    const char **headers = list_headers(request);
    struct yo_response response = {.status = headers ? status : 503,
                                   .headers = headers};
    if (!request->gone) {
        request->ops->refuse(request->user, &response);
    }
    yo_free(&request->mem, headers);
}

/* An answer from another thread. */
static void run_slip(struct yo_slip *slip, yo_time now)
{
    struct yomo_wt_request *request = YO_CONTAINER(slip, struct yomo_wt_request, slip);
    if (request->session) {
        int rv = accept_now(request, now);
        if (rv != YOMO_OK) { /* who has its handle is told */
            yo_house_add(request->house, request->session);
            yo_house_bury(request->house, request->session, rv, NULL);
        }
    } else {
        refuse_now(request, request->status);
    }
    unref(request); /* the program's */
}

int32_t yomo_wt_request_accept(yomo_wt_request *request, const char *protocol,
                               const yomo_wt_session_callbacks *callbacks, void *user,
                               yomo_wt_session **out)
{
    YO_REQUIRE(request && request->hub);
    bool valid = (!callbacks || callbacks->size >= sizeof(callbacks->size)) &&
                 (!protocol || offered(request, protocol));
    if (!valid) {
        (void)yomo_wt_request_refuse(request, 500);
        return YOMO_ERR_INVALID;
    }
    struct yo_hub *hub = request->hub;
    struct yomo_wt_session *session;
    int rv = yo_session_create(&session, hub, true, callbacks, user);
    if (rv == YOMO_OK && protocol) {
        session->protocol = yo_strndup(&hub->mem, protocol, strlen(protocol));
        rv = session->protocol ? YOMO_OK : YOMO_ERR_NOMEM;
        if (rv != YOMO_OK) {
            yomo_wt_session_unref(session);
        }
    }
    if (rv != YOMO_OK) {
        (void)yomo_wt_request_refuse(request, 503);
        return rv;
    }
    bool inside = yo_hub_enter(hub);
    bool gone = request->gone || hub->closed;
    session->house = request->house;
    request->session = session;
    session->phase = YO_SESSION_OPEN;
    session->datagram_max = SIZE_MAX; /* until the loop has looked */
    if (!gone && out) {
        *out = session;
    }
    if (!gone && !inside) {
        (void)yo_hub_post(hub, &request->slip);
    }
    yo_hub_leave(hub);
    if (!gone && !inside) {
        return YOMO_OK;
    }
    rv = gone ? YOMO_ERR_CLOSED : accept_now(request, yo_loop_now(hub->loop));
    if (rv != YOMO_OK) {
        yomo_wt_session_unref(session);
        if (out) {
            *out = NULL;
        }
    }
    unref(request);
    return rv;
}

int32_t yomo_wt_request_refuse(yomo_wt_request *request, int32_t status)
{
    YO_REQUIRE(request && request->hub);
    bool valid = status >= 300 && status <= 599;
    struct yo_hub *hub = request->hub;
    bool inside = yo_hub_enter(hub);
    bool gone = request->gone || hub->closed;
    request->status = valid ? status : 500;
    if (!gone && !inside) {
        (void)yo_hub_post(hub, &request->slip);
    }
    yo_hub_leave(hub);
    if (gone || inside) {
        if (!gone) {
            refuse_now(request, request->status);
        }
        unref(request);
    }
    return valid ? YOMO_OK : YOMO_ERR_INVALID;
}
