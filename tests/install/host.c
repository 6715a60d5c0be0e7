/* SPDX-License-Identifier: MIT */
/* host.c - a program outside the tree, which knows libyomo by its installation only.
 *
 * Compiled as C and as C++, against the shared and the static library, and with
 * HOST_OPENSSL beside the distribution's own OpenSSL, which it uses before, between and
 * after. What it prints is checked by check_install.py. */

#include <yomo/yomo.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HOST_OPENSSL
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#endif

static void expect(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "not so: %s\n", what);
        exit(1);
    }
}

#ifdef HOST_OPENSSL
static void use_hosts_openssl(void)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    expect(EVP_Digest("abc", 3, digest, &size, EVP_sha256(), NULL) == 1,
           "the host's OpenSSL makes a digest");
    expect(size == 32 && digest[0] == 0xba && digest[31] == 0xad, "it is the right one");
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    expect(context != NULL, "the host's OpenSSL makes a context");
    SSL_CTX_free(context);
}
#else
static void use_hosts_openssl(void) {}
#endif

struct heard {
    const char *name;
    int joined;
    int messages;
    int closed;
    int32_t transport;
};

static void on_status(void *user, yomo_client *client, const yomo_status *status)
{
    struct heard *heard = (struct heard *)user;
    (void)client;
    if (yomo_status_state(status) == YOMO_CLIENT_OPEN) {
        heard->transport = yomo_status_transport(status);
    }
    if (yomo_status_error(status) != 0) {
        fprintf(stderr, "%s: %s: %s\n", heard->name,
                yomo_error_name(yomo_status_error(status)), yomo_status_text(status));
    }
}

static void on_joined(void *user, yomo_room *room)
{
    (void)room;
    ((struct heard *)user)->joined = 1;
}

static void on_message(void *user, yomo_room *room, const yomo_message *message)
{
    struct heard *heard = (struct heard *)user;
    (void)room;
    if (strcmp(yomo_message_event(message), "hello") == 0 &&
        strcmp(yomo_message_json(message, NULL), "{\"n\":1}") == 0) {
        heard->messages++;
    }
}

static void on_closed(void *user, yomo_client *client)
{
    (void)client;
    ((struct heard *)user)->closed = 1;
}

static void set(yomo_options *options, const char *name, const char *value)
{
    if (yomo_options_set(options, name, value) != 0) {
        fprintf(stderr, "%s = %s: %s\n", name, value, yomo_options_error(options));
        exit(1);
    }
}

static yomo_client *start_client(const char *url, const char *transport,
                                 const char *state_dir, struct heard *heard)
{
    yomo_options *options = NULL;
    yomo_client *client = NULL;
    yomo_client_callbacks callbacks;
    memset(&callbacks, 0, sizeof callbacks);
    callbacks.size = sizeof callbacks;
    callbacks.on_status = on_status;
    callbacks.on_joined = on_joined;
    callbacks.on_message = on_message;
    callbacks.on_closed = on_closed;
    heard->name = transport;
    expect(yomo_options_create(&options, YOMO_SCOPE_CLIENT) == 0, "options are made");
    set(options, "url", url);
    set(options, "transport", transport);
    set(options, "state-dir", state_dir);
    expect(yomo_client_create(&client, options, &callbacks, heard) == 0,
           "a client is made");
    yomo_options_free(options);
    expect(yomo_client_connect(client) == 0, "it connects");
    return client;
}

/* Poll both until `*flag`, for 20 seconds at most. */
static void poll_until(yomo_client *one, yomo_client *other, const int *flag,
                       const char *what)
{
    time_t begin = time(NULL);
    struct timespec moment = {0, 2000000};
    while (!*flag && time(NULL) - begin < 20) {
        yomo_client_poll(one);
        yomo_client_poll(other);
        nanosleep(&moment, NULL);
    }
    expect(*flag, what);
}

/* A backend and two clients in this process: WebTransport (QUIC) and WebSocket (TLS). */
static void connect_all(const char *state_dir)
{
    yomo_options *options = NULL;
    yomo_server *server = NULL;
    yomo_room *room = NULL;
    struct heard fast = {"", 0, 0, 0, 0}, plain = {"", 0, 0, 0, 0};
    char url[64];

    expect(yomo_options_create(&options, YOMO_SCOPE_SERVER) == 0, "options are made");
    set(options, "bind", "127.0.0.1");
    set(options, "port", "0");
    set(options, "http-port", "none");
    set(options, "state-dir", state_dir);
    expect(yomo_server_create(&server, options, NULL, NULL) == 0, "a server is made");
    yomo_options_free(options);
    if (yomo_server_listen(server) != 0) {
        fprintf(stderr, "listen: %s\n", yomo_server_error(server));
        exit(1);
    }
    snprintf(url, sizeof url, "https://127.0.0.1:%u", (unsigned)yomo_server_port(server));

    yomo_client *first = start_client(url, "webtransport", state_dir, &fast);
    yomo_client *second = start_client(url, "websocket", state_dir, &plain);
    expect(yomo_client_join(first, "lobby", NULL, NULL) == 0, "the first joins");
    expect(yomo_client_join(second, "lobby", NULL, &room) == 0, "the second joins");
    poll_until(first, second, &fast.joined, "the first is in the room");
    poll_until(first, second, &plain.joined, "the second is in the room");
    expect(fast.transport == YOMO_TRANSPORT_WEBTRANSPORT, "the first has WebTransport");
    expect(plain.transport == YOMO_TRANSPORT_WEBSOCKET, "the second has WebSocket");
    use_hosts_openssl();
    expect(yomo_room_broadcast(room, "hello", "{\"n\":1}", YOMO_RELIABLE) == 0,
           "the second says hello");
    poll_until(first, second, &fast.messages, "the first hears it");

    yomo_client_close(first);
    yomo_client_close(second);
    poll_until(first, second, &fast.closed, "the first is closed");
    poll_until(first, second, &plain.closed, "the second is closed");
    yomo_client_free(first);
    yomo_client_free(second);
    yomo_server_free(server);
    printf("connected: webtransport websocket\n");
}

int main(int argc, char **argv)
{
    expect(argc == 2, "one argument: an empty folder for state");
    use_hosts_openssl();
    expect(yomo_version() == (YOMO_VERSION_MAJOR << 16 | YOMO_VERSION_MINOR << 8 |
                              YOMO_VERSION_PATCH),
           "headers and library are of one version");
    printf("yomo: %s\n", yomo_version_string());
    connect_all(argv[1]);
    use_hosts_openssl();
#ifdef HOST_OPENSSL
    printf("host: %s\n", OpenSSL_version(OPENSSL_VERSION));
    printf("host's headers: %s\n", OPENSSL_VERSION_TEXT);
#endif
    return 0;
}
