/* SPDX-License-Identifier: MIT */
#include "server/log.h"

#include "server/door.h"

const char *yo_transport_name(int32_t transport)
{
    switch (transport) {
    case YOMO_TRANSPORT_WEBTRANSPORT:
        return "webtransport";
    case YOMO_TRANSPORT_WEBSOCKET:
        return "websocket";
    case YOMO_TRANSPORT_CUSTOM:
        return "custom";
    default:
        return NULL;
    }
}

static struct yo_log_fields *who(struct yo_log_fields *fields, const char *address,
                                 const char *app, const char *id, int32_t transport,
                                 bool presencejs)
{
    (void)yo_log_text(fields, "address", yo_span_of(address));
    (void)yo_log_text(fields, "app", yo_span_of(app));
    (void)yo_log_text(fields, "id", yo_span_of(id));
    (void)yo_log_text(fields, "transport", yo_span_of(yo_transport_name(transport)));
    return yo_log_text(fields, "client",
                       yo_span_of(presencejs ? "presencejs" : "yomo"));
}

struct yo_log_fields *yo_log_peer(struct yo_log_fields *fields,
                                  const struct yo_peer *peer)
{
    (void)yo_log_number(fields, "connection", peer->number);
    return who(fields, peer->address, peer->app, peer->id, (int32_t)peer->transport,
               peer->presencejs);
}

struct yo_log_fields *yo_log_auth(struct yo_log_fields *fields,
                                  const struct yomo_auth *auth)
{
    return who(fields, auth->address, auth->app, auth->id, (int32_t)auth->transport,
               !auth->extension);
}

struct yo_log_fields *yo_log_close(struct yo_log_fields *fields, uint32_t code,
                                   int error)
{
    return yo_log_error(yo_log_number(fields, "code", code), error);
}
