/* SPDX-License-Identifier: MIT */
/* echo_client.c - WebTransport without rooms: say something to a server that sends
 * everything back, over a datagram and over streams of both kinds, and look at it.
 *
 *     yomo serve
 *     echo_client https://localhost:8443/echo
 *     echo_client https://echo.example/echo 5b3c...  # SHA-256 of its certificate
 *
 * The session runs on a thread of the library's own; this one waits until the callbacks
 * have seen everything come back, or for ten seconds. Ends with 0 when it has all come
 * back as it was, with 1 when not, with 2 when it was called wrongly. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <yomo/yomo.h>

enum { DATAGRAM, BIDIRECTIONAL, UNIDIRECTIONAL, KINDS };

static const char *const names[KINDS] = {"datagram", "bidirectional stream",
                                         "unidirectional stream"};
static const char *const texts[KINDS] = {"hello in a datagram", "hello both ways",
                                         "hello one way"};

struct echo {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int back[KINDS]; /* it came back as it was */
    int closed;      /* the session is over */
    int failed;
    char answer[KINDS][64]; /* what has come so far on the streams */
    size_t size[KINDS];
};

static void note(struct echo *echo, int *what)
{
    pthread_mutex_lock(&echo->lock);
    *what = 1;
    pthread_cond_signal(&echo->changed);
    pthread_mutex_unlock(&echo->lock);
}

static void compare(struct echo *echo, int kind, const void *data, size_t size)
{
    int same = size == strlen(texts[kind]) && memcmp(data, texts[kind], size) == 0;

    printf("%s: \"%.*s\"%s\n", names[kind], (int)size, (const char *)data,
           same ? "" : ", which is not what was sent");
    note(echo, same ? &echo->back[kind] : &echo->failed);
}

/* --- What a stream tells ---------------------------------------------------------- */

/* Bytes come in pieces, the last of them with `fin`. Returns how many were taken. */
static size_t on_data(void *user, yomo_wt_stream *stream, const void *data, size_t size,
                      int32_t fin)
{
    struct echo *echo = user;
    int kind = yomo_wt_stream_bidirectional(stream) ? BIDIRECTIONAL : UNIDIRECTIONAL;

    if (size > sizeof(echo->answer[kind]) - echo->size[kind]) {
        note(echo, &echo->failed); /* more than we sent */
        yomo_wt_stream_stop(stream, 1);
        return size;
    }
    memcpy(echo->answer[kind] + echo->size[kind], data, size);
    echo->size[kind] += size;
    if (fin) {
        compare(echo, kind, echo->answer[kind], echo->size[kind]);
    }
    return size;
}

static const yomo_wt_stream_callbacks stream_callbacks = {
    .size = sizeof(stream_callbacks),
    .on_data = on_data,
};

/* --- What the session tells ---------------------------------------------------------
 */

/* All the bytes at once: they wait in the stream's buffer until they have gone. */
static void say(struct echo *echo, yomo_wt_stream *stream, int kind)
{
    if (yomo_wt_stream_write(stream, texts[kind], strlen(texts[kind]), NULL) !=
            YOMO_OK ||
        yomo_wt_stream_finish(stream) != YOMO_OK) {
        note(echo, &echo->failed);
    }
}

static void on_open(void *user, yomo_wt_session *session)
{
    struct echo *echo = user;
    yomo_wt_stream *stream;

    printf("open; datagrams of up to %zu bytes\n",
           yomo_wt_session_datagram_max(session));
    /* A datagram may be lost: on a bad path one would send it again. */
    if (yomo_wt_session_send(session, texts[DATAGRAM], strlen(texts[DATAGRAM]), 0) !=
        YOMO_OK) {
        note(echo, &echo->failed);
    }
    if (yomo_wt_session_open_bidirectional(session, &stream_callbacks, echo, &stream) ==
        YOMO_OK) {
        say(echo, stream, BIDIRECTIONAL);
    }
    /* Nothing comes back on this one, so nobody listens; the answer is a new stream. */
    if (yomo_wt_session_open_unidirectional(session, NULL, NULL, &stream) == YOMO_OK) {
        say(echo, stream, UNIDIRECTIONAL);
    }
}

static void on_stream(void *user, yomo_wt_session *session, yomo_wt_stream *stream)
{
    (void)session;
    yomo_wt_stream_listen(stream, &stream_callbacks, user);
}

static void on_datagram(void *user, yomo_wt_session *session, const void *data,
                        size_t size)
{
    (void)session;
    compare(user, DATAGRAM, data, size);
}

static void on_closed(void *user, yomo_wt_session *session, const yomo_wt_end *end)
{
    struct echo *echo = user;

    (void)session;
    if (yomo_wt_end_error(end) != YOMO_OK) {
        fprintf(stderr, "%s: %s\n", yomo_strerror(yomo_wt_end_error(end)),
                yomo_wt_end_reason(end));
    }
    note(echo, &echo->closed);
}

static const yomo_wt_session_callbacks session_callbacks = {
    .size = sizeof(session_callbacks),
    .on_open = on_open,
    .on_stream = on_stream,
    .on_datagram = on_datagram,
    .on_closed = on_closed,
};

/* --- The program
 * ---------------------------------------------------------------------- */

static int check(int32_t error, const char *what)
{
    if (error != YOMO_OK) {
        fprintf(stderr, "%s: %s\n", what, yomo_strerror(error));
    }
    return error == YOMO_OK;
}

static int begin(yomo_wt_client **client, const char *url, const char *hash,
                 struct echo *echo)
{
    yomo_options *options = NULL;
    yomo_wt_request *request = NULL;
    int good = check(yomo_options_create(&options, YOMO_SCOPE_CLIENT), "options") &&
               (!hash || check(yomo_options_set(options, "cert-hash", hash),
                               "the certificate's hash")) &&
               check(yomo_wt_client_create(client, options, NULL, NULL), "client") &&
               check(yomo_wt_client_start(*client), "start") &&
               check(yomo_wt_request_create(&request, url), url);

    yomo_options_free(options);
    if (good) {
        good = check(
            yomo_wt_request_connect(request, *client, &session_callbacks, echo, NULL),
            url);
        if (!good) {
            yomo_wt_request_free(request);
        }
    }
    return good;
}

static int all_back(const struct echo *echo)
{
    return echo->back[DATAGRAM] && echo->back[BIDIRECTIONAL] &&
           echo->back[UNIDIRECTIONAL];
}

static int wait_for(struct echo *echo, const int *what)
{
    struct timespec until;
    int late = 0, done;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&echo->lock);
    while (!late && !echo->closed && !(what ? *what : all_back(echo) || echo->failed)) {
        late = pthread_cond_timedwait(&echo->changed, &echo->lock, &until) != 0;
    }
    done = all_back(echo) && !echo->failed;
    pthread_mutex_unlock(&echo->lock);
    return done;
}

int main(int argc, char **argv)
{
    static struct echo echo = {.lock = PTHREAD_MUTEX_INITIALIZER,
                               .changed = PTHREAD_COND_INITIALIZER};
    yomo_wt_client *client = NULL;
    int good;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: echo_client URL [SHA-256 of the certificate]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!begin(&client, argv[1], argc > 2 ? argv[2] : NULL, &echo)) {
        yomo_wt_client_free(client);
        return 1;
    }
    good = wait_for(&echo, NULL);
    /* Ends its sessions, with code 0. */
    yomo_wt_client_close(client);
    wait_for(&echo, &echo.closed);
    yomo_wt_client_free(client);
    printf(good ? "all of it came back\n" : "not all of it came back\n");
    return good ? 0 : 1;
}
