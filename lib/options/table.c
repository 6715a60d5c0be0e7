/* SPDX-License-Identifier: MIT */
/* table.c - the rows stand in the order in which help and documents show them: what
 * most people need first, then limits, then times, then what is for debugging. */
#include "options/table.h"

#include <assert.h>
#include <string.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define YEAR (366 * 24 * HOUR)

/* clang-format off */
#define TEXT(name, value, help) \
    {name, YOMO_TYPE_TEXT, value, NULL, 0, 0, YO_FORM_ANY, help}
#define TEXT_AS(name, value, form, help) \
    {name, YOMO_TYPE_TEXT, value, NULL, 0, 0, form, help}
#define NUMBER(name, value, min, max, help) \
    {name, YOMO_TYPE_NUMBER, value, NULL, min, max, YO_FORM_ANY, help}
#define DURATION(name, value, min, max, help) \
    {name, YOMO_TYPE_DURATION, value, NULL, min, max, YO_FORM_ANY, help}
#define SWITCH(name, value, help) \
    {name, YOMO_TYPE_SWITCH, value, NULL, 0, 0, YO_FORM_ANY, help}
#define CHOICE(name, value, choices, help) \
    {name, YOMO_TYPE_CHOICE, value, choices, 0, 0, YO_FORM_ANY, help}
#define LIST(name, value, form, help) \
    {name, YOMO_TYPE_LIST, value, NULL, 0, 0, form, help}

static const struct yo_option client_options[] = {
    TEXT("url", NULL,
         "Where the backend is: https://host[:port][/path]. Without a path, /v1. "
         "wss: means WebSocket only; ws: and http: are for the plain listener of a "
         "development backend."),
    CHOICE("transport", "auto", "auto|webtransport|websocket",
           "How to connect. auto tries WebTransport, then WebSocket beside it, and keeps "
           "the first that opens."),
    TEXT("id", NULL,
         "This user's id. Random when none is given. A token may prescribe it."),
    TEXT("public-key", NULL,
         "Which application this is, for a backend with keys."),
    TEXT("token", NULL,
         "Proves to the backend who this is."),
    TEXT("ca", NULL,
         "PEM file of authorities to trust instead of the system's."),
    LIST("cert-hash", NULL, YO_FORM_HASH,
         "SHA-256 of a certificate to trust: 64 hexadecimal digits. Nothing else is then "
         "asked of the certificate but its dates."),
    TEXT("state-dir", NULL,
         "Where a backend of the same user keeps its development certificate, which is "
         "trusted for loopback addresses. $XDG_STATE_HOME/yomo or ~/.local/state/yomo "
         "when not given."),
    TEXT("origin", NULL,
         "The Origin header to send."),
    TEXT("proxy", NULL,
         "http://host:port of a proxy for WebSocket, or none. What https_proxy and "
         "no_proxy in the environment say when not given."),
    NUMBER("message-size-max", "64k", KIB, 16 * MIB,
           "Bytes of the largest message to send or to take."),
    NUMBER("queue-size", "1m", KIB, GIB,
           "Bytes of reliable messages that may wait to be sent; past that a call fails "
           "with FULL."),
    NUMBER("latest-slots-max", "1024", 1, MIB,
           "LATEST values (one for each event and key) that may wait to be sent."),
    NUMBER("unreliable-queue", "64k", KIB, GIB,
           "Bytes of unreliable messages that may wait; past that the oldest are "
           "dropped."),
    NUMBER("requests-max", "1024", 1, MIB,
           "Requests that may wait for their reply; past that a call fails with FULL."),
    DURATION("connect-timeout", "10s", 100, HOUR,
             "How long one attempt to connect may take."),
    DURATION("race-delay", "250ms", 0, MINUTE,
             "How long WebTransport is tried alone before WebSocket joins the race."),
    SWITCH("migrate", "true",
           "Over WebTransport: when this machine's addresses change, go on from the new one "
           "without a new connection."),
    SWITCH("upgrade", "true",
           "Over WebSocket though WebTransport is allowed: try WebTransport from time to "
           "time, and move there without leaving a room. Off where traffic is metered."),
    DURATION("upgrade-interval", "5s", 100, HOUR,
             "The first such try comes after about this long. The pause doubles with each "
             "that fails, up to five minutes."),
    DURATION("stall-timeout", "5s", 0, HOUR,
             "WebTransport that answers nothing gives way to WebSocket after ten round "
             "trips, one second at least and this long at most, without leaving a room. "
             "0: never."),
    DURATION("reconnect-min", "250ms", 1, HOUR,
             "The longest wait before the first new attempt. It doubles with each "
             "attempt; the wait itself is a random part of it."),
    DURATION("reconnect-max", "30s", 1, HOUR,
             "Where that doubling ends."),
    NUMBER("reconnect-attempts", "0", 0, MIB,
           "Attempts in a row that may fail before the client gives up. 0: never."),
    DURATION("keep-alive", "5s", 100, HOUR,
             "A sign of life is sent after this much silence."),
    DURATION("silence-timeout", "15s", 200, HOUR,
             "The connection is taken for lost after this much silence."),
    DURATION("idle-timeout", "30s", 1 * SECOND, HOUR,
             "QUIC's own idle timeout; the smaller one of both sides counts."),
    DURATION("linger", "1s", 0, HOUR,
             "How long closing waits for reliable messages to go out."),
    CHOICE("congestion-control", "cubic", "cubic|reno|bbr",
           "How QUIC finds out how much a path carries. cubic and reno slow down when "
           "packets are lost; bbr goes by measured rates, and is still young in the "
           "library below."),
    NUMBER("webtransport-sessions", "1", 1, 1000,
           "WebTransport sessions on one connection. With more than 1 flow control of "
           "sessions is declared, and they are possible where the other side declares it "
           "too; Safari may then not open streams."),
    NUMBER("key-update-packets", "4m", 0, UINT32_MAX,
           "A QUIC connection changes its keys after so many packets sent. 0: only when "
           "the cipher's limit (RFC 9001 6.6) demands it."),
    TEXT("tls-keylog", NULL,
         "Append TLS secrets to this file (0600), for debugging: whoever reads it can read "
         "the traffic. The environment (SSLKEYLOGFILE) is not heeded."),
    TEXT("qlog-dir", NULL,
         "Write a qlog trace of each QUIC connection into this folder, which is made "
         "(0700) when it is missing."),
};

static const struct yo_option server_options[] = {
    LIST("bind", "localhost", YO_FORM_ANY,
         "Addresses to listen on. localhost is both 127.0.0.1 and ::1, * is all there "
         "are. Beyond loopback keys, token-keys, a host's hook or insecure-open are asked for."),
    NUMBER("port", "8443", 0, 65535,
           "The port, the same number for UDP and TCP. 0 takes a free one."),
    TEXT_AS("http-port", "8080", YO_FORM_PORT,
            "The port of a listener without TLS, on loopback only, with the demo page; 0 "
            "takes a free one, none is none. The default counts in development; "
            "otherwise there is no such listener unless it is asked for."),
    TEXT("tls-cert", NULL,
         "PEM file with the certificate chain. Without one, a certificate for "
         "development is made and kept in state-dir."),
    TEXT("tls-key", NULL,
         "PEM file with its private key."),
    TEXT("tls-groups", NULL,
         "Groups for the key exchange, best first, as OpenSSL spells them, such as "
         "X25519MLKEM768:X25519:P-256. X25519 alone takes 6 KiB less for each connection, "
         "and gives up what protects recorded traffic from later quantum computers. "
         "OpenSSL's own choice when not given."),
    NUMBER("workers", "0", 0, 256,
           "Threads that serve connections. 0: one for each processor."),
    TEXT("state-dir", NULL,
         "Where the development certificate and secrets are kept, readable by this user "
         "only. $XDG_STATE_HOME/yomo or ~/.local/state/yomo when not given."),
    LIST("origins", NULL, YO_FORM_ORIGIN,
         "Origins of pages that may connect, such as https://example.com; * is any. Pages "
         "from loopback hosts may always, and programs, which send none."),
    LIST("keys", NULL, YO_FORM_PAIR,
         "Applications and the public keys they are known by: app=publickey. Each "
         "application's rooms are its own."),
    TEXT("token-keys", NULL,
         "File with what tokens (JSON Web Tokens) are checked with: a JWK set, public keys "
         "in PEM, or a secret of at least 32 bytes. With it every connection needs a "
         "token. Read again at each reload."),
    TEXT("token-audience", NULL,
         "What a token's aud claim must name. Without it a token that names anybody is "
         "refused."),
    TEXT("token-issuer", NULL,
         "What a token's iss claim must be. Any, when not given."),
    DURATION("token-leeway", "30s", 0, HOUR,
             "How far this clock and that of a token's maker may be apart."),
    SWITCH("insecure-open", "false",
           "Listen beyond loopback though anybody may come in."),
    TEXT("web-root", NULL,
         "Folder of static pages for the listener without TLS."),
    SWITCH("echo", NULL,
           "Serve /echo, which sends back datagrams, streams and WebSocket messages. On "
           "in development, else off when not given."),
    SWITCH("metrics", NULL,
           "Serve /metrics, Prometheus text. On in development, where anybody may ask, "
           "where there is an admin-port, which it is then behind, and where there is a "
           "metrics-token, which it needs everywhere else; off otherwise."),
    TEXT("metrics-token", NULL,
         "Who asks for /metrics must send it: Authorization: Bearer TOKEN. Other users of "
         "the machine see command lines: better in a configuration file."),
    TEXT_AS("admin-port", "none", YO_FORM_PORT,
            "The port of a listener of its own for operators: /admin/v1/ and /metrics, which "
            "are then nowhere else. 0 takes a free one. It needs an admin-token-file, or "
            "token-keys."),
    LIST("admin-bind", "localhost", YO_FORM_ANY,
         "Addresses of that listener. If all of them are loopback it speaks HTTP, else "
         "HTTPS with the server's certificate."),
    TEXT("admin-token-file", NULL,
         "File with the secret of operators, at least 32 visible characters, which nobody "
         "else may read: Authorization: Bearer SECRET. With it the admin API is there. "
         "Read again at each reload."),
    NUMBER("admin-rate", "100", 0, 1000000,
           "Requests of operators in a second, for each worker that is asked. 0: no limit."),
    NUMBER("bans-max", "10000", 0, 1000000,
           "How many bans of users and addresses there may be."),
    TEXT("bans-file", NULL,
         "File in which bans are kept over a restart, rewritten whenever one is made or "
         "taken back. Without it a restart forgets them."),
    TEXT("webhook-url", NULL,
         "Where to POST who joins and leaves, and rooms that open and close: an https URL, "
         "or http to addresses that webhook-allow lists. No redirect is followed, no proxy "
         "used. It needs a webhook-secret-file."),
    TEXT("webhook-secret-file", NULL,
         "File with the secrets that webhooks are signed with, which nobody else may read: "
         "in each line whsec_ and 24 to 64 bytes in base64. All of them sign, so that one "
         "can take the place of another. Read again at each reload."),
    LIST("webhook-events", NULL, YO_FORM_ANY,
         "What is told of: member_joined, member_left, room_opened, room_closed (all of "
         "these, when not given), value_changed."),
    LIST("webhook-allow", NULL, YO_FORM_ANY,
         "Addresses and networks (127.0.0.1, 10.1.0.0/16) that webhooks may go to though "
         "they are not public: loopback, private, link-local, reserved. Others are refused "
         "after the name is resolved."),
    NUMBER("webhook-queue", "10000", 1, MIB,
           "Events that may wait for the endpoint. Past that the oldest give way, and the "
           "next batch says how many were lost."),
    NUMBER("webhook-batch", "100", 1, 10000,
           "Events in one request, at most; also no more than 1 MiB."),
    DURATION("webhook-batch-time", "1s", 0, MINUTE,
             "How long an event waits for others to go with it. 0: not at all."),
    DURATION("webhook-timeout", "10s", 100, 5 * MINUTE,
             "How long one attempt may take, from the name to the answer."),
    DURATION("webhook-retry-for", "1h", 0, 7 * 24 * HOUR,
             "How long a batch is tried again until it is given up. The waits between are "
             "random, of 1 second to at most 5 minutes. 0: one attempt."),
    TEXT("webhook-ca", NULL,
         "PEM file of authorities to trust for the endpoint instead of the system's."),
    TEXT("mesh", "dev",
         "This backend's name, which presencejs clients see in messages as mesh."),
    NUMBER("message-size-max", "64k", KIB, 16 * MIB,
           "Bytes of the largest message."),
    NUMBER("legacy-datagram-max", "1000", 100, 65535,
           "Bytes of the largest message that a presencejs client may send over "
           "WebTransport, where each must fit into one datagram."),
    NUMBER("requests-max", "64", 1, MIB,
           "Requests of one connection that the program around the server may leave "
           "unanswered at a time; past that FULL."),
    NUMBER("legacy-members-max", "200", 0, MIB,
           "Members that a joining presencejs client is told of, newest active first."),
    DURATION("presence-interval", "50ms", 0, HOUR,
             "Members of a room are told who came, changed or left at most so often; what "
             "happens meanwhile is told together. In a room of more than 1,000 the time "
             "grows as the room does, to a second. 0: each at once."),
    DURATION("latest-interval", "0", 0, MINUTE,
             "LATEST values go to each receiver at most so often, the newest of each; a "
             "member may ask for less of them when it joins. 0: as they come."),
    NUMBER("members-max", "10000", 1, 16 * MIB,
           "Members of one room."),
    NUMBER("observers-max", "10000", 0, 16 * MIB,
           "Members of one room that hear it without being seen. 0: no bound."),
    NUMBER("rooms-max", "100", 1, MIB,
           "Rooms that one connection may be in."),
    NUMBER("rooms-total-max", "100000", 1, 16 * MIB,
           "Rooms on this backend."),
    DURATION("room-linger", "1m", 0, 24 * HOUR,
             "How long a room that nobody is in any more keeps its order and its history. "
             "The one empty longest gives way when rooms-total-max is reached."),
    NUMBER("history-messages", "0", 0, 16 * MIB,
           "How many of its newest reliable messages each room keeps for members to read "
           "and joiners to ask for. 0: none."),
    DURATION("history-age", "24h", 0, YEAR,
             "How long a room keeps them. 0: no bound."),
    NUMBER("history-memory", "1m", KIB, GIB,
           "Bytes of memory that they may take in each room; the oldest give way."),
    TEXT("history-store", "memory",
         "Where they are kept: memory, or sqlite:PATH, a database that is made when it is "
         "missing, from which a room that is opened goes on. It is then history-memory that is "
         "at hand at once; what is older is read when it is asked for."),
    NUMBER("resume-log", "256k", 0, GIB,
           "Bytes of each room's newest reliable messages that are kept, as long as a seat "
           "may be resumed, for members whose connection broke. 0: nothing, and they are "
           "told of a gap."),
    NUMBER("values-max", "1000", 0, MIB,
           "Shared values and locks of one room. 0: none."),
    NUMBER("value-size-max", "16k", 64, 16 * MIB,
           "Bytes of one shared value."),
    NUMBER("values-memory", "1m", KIB, GIB,
           "Bytes of memory that the shared values and locks of one room may take, with "
           "their names and whoever waits for a lock."),
    DURATION("lease-max", "1m", 100, 24 * HOUR,
             "The longest lease of a lock. Its holder begins it anew as long as it lives; one "
             "that falls silent keeps the lock for so long."),
    NUMBER("lock-line-max", "100", 0, MIB,
           "Members that may wait in line for one lock."),
    NUMBER("state-size-max", "16k", 64, 16 * MIB,
           "Bytes of one member's state."),
    NUMBER("message-rate", "1000", 0, 16 * MIB,
           "Messages a second that one connection may send, on average. 0: no limit."),
    NUMBER("message-burst", "2000", 1, 16 * MIB,
           "Messages that it may send at once."),
    NUMBER("room-message-rate", "50000", 0, 16 * MIB,
           "Messages a second that all members of one room may send together, with as many "
           "at once; past that RATE. Messages of the host program do not count. 0: no limit."),
    NUMBER("room-join-rate", "10000", 0, 16 * MIB,
           "Members and observers a second that may join one room, with twice as many at "
           "once; past that RATE. 0: no limit."),
    NUMBER("app-connections-max", "0", 0, 16 * MIB,
           "Connections of one application, on all workers together. 0: no limit but "
           "connections-max."),
    NUMBER("app-rooms-max", "0", 0, 16 * MIB,
           "Rooms of one application that somebody is in. 0: no limit but "
           "rooms-total-max."),
    NUMBER("app-message-rate", "0", 0, GIB,
           "Messages a second that all members of one application may send together, with "
           "as many at once; past that RATE. 0: no limit."),
    NUMBER("app-byte-rate", "0", 0, 64 * GIB,
           "Bytes a second that these messages may have together, as they are received. "
           "0: no limit."),
    LIST("app-limits", NULL, YO_FORM_APP_LIMIT,
         "Other limits for some applications: APP:LIMIT=NUMBER with connections, rooms, "
         "messages or bytes, such as chat:rooms=100. 0: no limit. The last one of the "
         "same counts."),
    NUMBER("errors-max", "100", 1, 16 * MIB,
           "Broken messages after which a connection is closed."),
    NUMBER("queue-size", "1m", 4 * KIB, GIB,
           "Bytes of reliable messages that may wait for one receiver; past that it is "
           "closed as too slow."),
    NUMBER("latest-slots-max", "4096", 1, MIB,
           "LATEST values that may wait for one receiver."),
    NUMBER("unreliable-queue", "256k", KIB, GIB,
           "Bytes of unreliable messages that may wait for one receiver; past that the "
           "oldest are dropped."),
    DURATION("handshake-timeout", "10s", 100, HOUR,
             "How long TLS, HTTP and the upgrade may take together."),
    DURATION("idle-timeout", "30s", 1 * SECOND, HOUR,
             "QUIC's own idle timeout; the smaller one of both sides counts."),
    DURATION("keep-alive", "10s", 100, HOUR,
             "A sign of life is sent after this much silence."),
    DURATION("silence-timeout", "15s", 200, HOUR,
             "A connection is taken for lost after this much silence."),
    DURATION("grace-time", "15s", 0, HOUR,
             "How long a member whose connection broke keeps its seat, and may come back "
             "to it without having missed anything. 0: not at all. presencejs members, "
             "which cannot come back to one, keep none."),
    NUMBER("parked-max", "10000", 1, 16 * MIB,
           "Sessions without a connection that wait for their clients; past that the "
           "oldest give way."),
    NUMBER("parked-size", "64m", KIB, 64 * GIB,
           "Bytes that these may take together."),
    NUMBER("connections-max", "100000", 1, 16 * MIB,
           "Connections on this backend."),
    NUMBER("connections-per-address-max", "10000", 1, 16 * MIB,
           "Connections from one address, of IPv6 from one /64."),
    NUMBER("handshakes-max", "1000", 1, 16 * MIB,
           "Handshakes at once, at each worker; past that, QUIC clients must first prove "
           "their address and TCP connections are closed."),
    LIST("trusted-proxies", NULL, YO_FORM_ANY,
         "Addresses or networks (192.0.2.0/24) of proxies whose X-Forwarded-For header "
         "is believed, for what comes by TCP: the last address in it that is not itself "
         "such a proxy's is the client's. From others the header is ignored."),
    CHOICE("congestion-control", "cubic", "cubic|reno|bbr",
           "How QUIC finds out how much a path carries. cubic and reno slow down when "
           "packets are lost; bbr goes by measured rates, and is still young in the "
           "library below."),
    NUMBER("webtransport-sessions", "1", 1, 1000,
           "WebTransport sessions on one connection. With more than 1 flow control of "
           "sessions is declared, and they are possible where the other side declares it "
           "too; Safari may then not open streams."),
    NUMBER("key-update-packets", "4m", 0, UINT32_MAX,
           "A QUIC connection changes its keys after so many packets sent. 0: only when "
           "the cipher's limit (RFC 9001 6.6) demands it."),
    TEXT("tls-keylog", NULL,
         "Append TLS secrets to this file (0600), for debugging: whoever reads it can read "
         "the traffic. The environment (SSLKEYLOGFILE) is not heeded."),
    TEXT("qlog-dir", NULL,
         "Write a qlog trace of each QUIC connection into this folder, which is made "
         "(0700) when it is missing."),
    CHOICE("log-level", "info", "error|warn|info|debug|trace",
           "How much `yomo serve` tells on stderr. A host program sets its own log."),
    CHOICE("log-format", "text", "text|json",
           "How: text, or one JSON object a line (time, level, module, message)."),
    DURATION("drain-timeout", "8s", 0, HOUR,
             "How long a backend that ends waits for its clients to go."),
    TEXT("drain-url", NULL,
         "Where a backend that ends sends its clients: https://host[:port][/path] of "
         "another one. Clients keep to the scheme that they came with. They come back to "
         "this one when not given, as presencejs pages always do."),
};
/* clang-format on */

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))
static_assert(ROWS(client_options) <= YO_OPTIONS_MAX, "a set has a place for each row");
static_assert(ROWS(server_options) <= YO_OPTIONS_MAX, "a set has a place for each row");

/* What a server can change while it runs (server/reload_options.c): its workers read these
 * whenever they need them, or when a connection or a room begins. */
static const char *const live[] = {
    "origins",           "keys",              "metrics-token",   "log-level",
    "log-format",        "legacy-datagram-max", "requests-max",  "legacy-members-max",
    "presence-interval", "latest-interval",   "members-max",     "observers-max",
    "rooms-max",         "rooms-total-max",   "room-linger",     "history-messages",
    "history-age",       "history-memory",    "resume-log",      "state-size-max",
    "message-rate",      "message-burst",     "room-message-rate", "room-join-rate", "app-connections-max",
    "app-rooms-max",     "app-message-rate",  "app-byte-rate",   "app-limits",
    "errors-max",      "queue-size",
    "latest-slots-max",  "unreliable-queue",  "grace-time",      "parked-max",
    "parked-size",       "drain-timeout",     "drain-url",       "webhook-url",
    "webhook-allow",     "webhook-queue",     "webhook-batch",   "webhook-batch-time",
    "webhook-timeout",   "webhook-retry-for", "webhook-ca",
};

bool yo_option_is_live(int32_t scope, size_t index)
{
    const struct yo_option *option = yo_option_at(scope, index);

    for (size_t i = 0; scope == YOMO_SCOPE_SERVER && option && i < ROWS(live); i++) {
        if (strcmp(option->name, live[i]) == 0) {
            return true;
        }
    }
    return false;
}

const struct yo_option *yo_option_at(int32_t scope, size_t index)
{
    if (scope == YOMO_SCOPE_CLIENT) {
        return index < ROWS(client_options) ? &client_options[index] : NULL;
    }
    if (scope == YOMO_SCOPE_SERVER) {
        return index < ROWS(server_options) ? &server_options[index] : NULL;
    }
    return NULL;
}

int yo_option_find(int32_t scope, struct yo_span name)
{
    const struct yo_option *option;

    for (size_t i = 0; (option = yo_option_at(scope, i)); i++) {
        if (yo_span_is(name, option->name)) {
            return (int)i;
        }
    }
    return -1;
}

const char *yomo_option_name(int32_t scope, uint32_t index)
{
    const struct yo_option *option = yo_option_at(scope, index);
    return option ? option->name : NULL;
}

int32_t yomo_option_type(int32_t scope, uint32_t index)
{
    const struct yo_option *option = yo_option_at(scope, index);
    return option ? (int32_t)option->type : -1;
}

const char *yomo_option_default(int32_t scope, uint32_t index)
{
    const struct yo_option *option = yo_option_at(scope, index);
    return option ? option->value : NULL;
}

const char *yomo_option_choices(int32_t scope, uint32_t index)
{
    const struct yo_option *option = yo_option_at(scope, index);
    return option ? option->choices : NULL;
}

int32_t yomo_option_is_live(int32_t scope, uint32_t index)
{
    return yo_option_is_live(scope, index);
}

const char *yomo_option_help(int32_t scope, uint32_t index)
{
    const struct yo_option *option = yo_option_at(scope, index);
    return option ? option->help : NULL;
}
