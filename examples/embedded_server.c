/* SPDX-License-Identifier: MIT */
/* embedded_server.c - a backend inside a program of one's own, with its rules.
 *
 *     embedded_server 8443
 *     yomo sub  https://localhost:8443 lobby --token open-sesame --presence
 *     yomo chat https://localhost:8443 lobby --token open-sesame
 *
 * Three hooks make the rules: who may come in, into which room, and what may be said.
 * They run on the server's own threads, several at once, and must not wait. The program
 * itself takes part too: it tells the lobby the time. It ends with its input, or on
 * Enter. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <yomo/yomo.h>

/* YOMO_OK lets it in. A hook that has to ask somebody first returns YOMO_LATER and
 * calls yomo_auth_accept or yomo_auth_refuse when it knows. */
static int32_t authenticate(void *user, yomo_auth *auth)
{
    const char *password = user;

    if (strcmp(yomo_auth_token(auth), password) != 0) {
        return YOMO_ERR_AUTH;
    }
    printf("%s comes in from %s over %s\n", yomo_auth_id(auth), yomo_auth_address(auth),
           yomo_transport_name(yomo_auth_transport(auth)));
    return YOMO_OK;
}

static int32_t on_join(void *user, const yomo_member *member)
{
    (void)user;
    if (strcmp(yomo_member_room(member), "staff") == 0) {
        return YOMO_ERR_DENIED;
    }
    printf("%s joins %s\n", yomo_member_id(member), yomo_member_room(member));
    return YOMO_OK;
}

static void on_leave(void *user, const yomo_member *member)
{
    (void)user;
    printf("%s leaves %s\n", yomo_member_id(member), yomo_member_room(member));
}

/* Called for every broadcast: without a rule to enforce, leave this hook out. */
static int32_t on_message(void *user, const yomo_member *member, const char *event,
                          const void *data, size_t size, int32_t encoding)
{
    (void)user, (void)member, (void)data, (void)encoding;
    return strcmp(event, "chat") == 0 && size > 500 ? YOMO_ERR_DENIED : YOMO_OK;
}

static void on_log(void *user, int32_t level, const char *module, const char *text)
{
    (void)user, (void)level;
    fprintf(stderr, "%s: %s\n", module, text);
}

static void check(int32_t error, const char *what)
{
    if (error != YOMO_OK) {
        fprintf(stderr, "%s: %s\n", what, yomo_strerror(error));
        exit(1);
    }
}

/* Tell the lobby the time, once a second, until there is something to read. */
static void serve(yomo_server *server)
{
    struct pollfd watch = {.fd = STDIN_FILENO, .events = POLLIN};

    while (poll(&watch, 1, 1000) == 0) {
        char json[64];
        int size =
            snprintf(json, sizeof(json), "{\"now\":%lld}", (long long)time(NULL));
        yomo_server_publish(server, NULL, "lobby", "server", "time", json, (size_t)size,
                            YOMO_JSON, YOMO_LATEST);
    }
}

int main(int argc, char **argv)
{
    char password[] = "open-sesame";
    yomo_server_callbacks callbacks = {
        .size = sizeof(callbacks),
        .authenticate = authenticate,
        .on_join = on_join,
        .on_leave = on_leave,
        .on_message = on_message,
    };
    yomo_options *options;
    yomo_server *server;

    setvbuf(stdout, NULL, _IOLBF, 0); /* a line at a time, into a pipe too */
    check(yomo_options_create(&options, YOMO_SCOPE_SERVER), "options");
    check(yomo_options_set(options, "port", argc > 1 ? argv[1] : "8443"), "port");
    if (argc > 2) { /* where the development certificate is kept */
        check(yomo_options_set(options, "state-dir", argv[2]), "state-dir");
    }
    check(yomo_options_set_log(options, on_log, NULL, YOMO_LOG_WARN), "log");
    check(yomo_server_create(&server, options, &callbacks, password), "server");
    yomo_options_free(options); /* the server has its own copy */
    if (yomo_server_listen(server) != YOMO_OK) {
        fprintf(stderr, "%s\n", yomo_server_error(server));
        yomo_server_free(server);
        return 1;
    }
    printf("listening %s\n", yomo_server_listening(server));
    serve(server);
    yomo_server_free(server); /* closes, and waits for the threads */
    return 0;
}
