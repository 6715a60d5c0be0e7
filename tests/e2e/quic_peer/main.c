/* SPDX-License-Identifier: MIT */
/* main.c - quic_peer as a program: a test says line by line what it does.
 *
 *   quic_peer PORT [hold] [no-datagrams] [stop-halfway] [window=N] [all=N] [streams=N]
 *   quic_peer first N                  print the first packets of N clients
 *
 * Lines on stdin, NAME being any word and HEX bytes (none: "-"):
 *   uni NAME | bidi NAME               open a stream
 *   write NAME HEX | end NAME HEX      bytes on it; and then FIN
 *   reset NAME CODE | stop NAME CODE   RESET_STREAM, STOP_SENDING
 *   credit NAME N                      with `hold`: N bytes more may come
 *   datagram HEX | frames HEX          frames: all that is in a packet
 *   flood N uni|bidi open|end|reset HEX
 *   raw HEX | garble N | hang | close CODE
 *
 * Lines on stdout are JSON: ready, opened, acked, data, reset, closed, datagram,
 * flooded, done (a line was carried out), end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quic_peer.h"

#define LINE_MAX_SIZE (4u << 20)
#define WORDS_MAX 6

static void wrong(const char *what)
{
    fprintf(stderr, "quic_peer: %s\n", what);
    exit(2);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place. */
static size_t from_hex(char *text)
{
    size_t size = 0;
    if (strcmp(text, "-") == 0) {
        return 0;
    }
    for (; text[2 * size]; size++) {
        int high = digit(text[2 * size]), low = digit(text[2 * size + 1]);
        if (high < 0 || low < 0) {
            wrong("not hexadecimal");
        }
        text[size] = (char)(high * 16 + low);
    }
    return size;
}

static void flood(struct quic_peer *peer, char **words)
{
    enum quic_peer_last last = strcmp(words[3], "end") == 0     ? QUIC_PEER_END
                               : strcmp(words[3], "reset") == 0 ? QUIC_PEER_RESET
                                                                : QUIC_PEER_GO_ON;
    size_t size = from_hex(words[4]);
    quic_peer_flood(peer, strtoull(words[1], NULL, 10), strcmp(words[2], "bidi") == 0,
                    (const uint8_t *)words[4], size, last);
}

static void command(struct quic_peer *peer, char *line)
{
    static char none[1];
    char *words[WORDS_MAX], *rest = line;
    bool found = true;

    for (size_t i = 0; i < WORDS_MAX; i++) {
        char *word = strsep(&rest, " ");
        words[i] = word ? word : none;
    }
    const char *verb = words[0], *name = words[1];
    if (strcmp(verb, "uni") == 0 || strcmp(verb, "bidi") == 0) {
        quic_peer_open(peer, name, *verb == 'b');
    } else if (strcmp(verb, "write") == 0 || strcmp(verb, "end") == 0) {
        size_t size = from_hex(words[2]);
        found =
            quic_peer_write(peer, name, (const uint8_t *)words[2], size, *verb == 'e');
    } else if (strcmp(verb, "reset") == 0) {
        found = quic_peer_reset(peer, name, strtoull(words[2], NULL, 0));
    } else if (strcmp(verb, "stop") == 0) {
        found = quic_peer_stop(peer, name, strtoull(words[2], NULL, 0));
    } else if (strcmp(verb, "credit") == 0) {
        found = quic_peer_credit(peer, name, strtoull(words[2], NULL, 0));
    } else if (strcmp(verb, "datagram") == 0) {
        size_t size = from_hex(words[1]);
        quic_peer_datagram(peer, (const uint8_t *)words[1], size);
    } else if (strcmp(verb, "frames") == 0) {
        size_t size = from_hex(words[1]);
        quic_peer_frames(peer, (const uint8_t *)words[1], size);
    } else if (strcmp(verb, "raw") == 0) {
        size_t size = from_hex(words[1]);
        quic_peer_raw(peer, (const uint8_t *)words[1], size);
    } else if (strcmp(verb, "flood") == 0) {
        flood(peer, words);
    } else if (strcmp(verb, "garble") == 0) {
        quic_peer_garble(peer, strtoull(words[1], NULL, 0));
    } else if (strcmp(verb, "hang") == 0) {
        quic_peer_hang(peer);
    } else if (strcmp(verb, "close") == 0) {
        quic_peer_close(peer, strtoull(words[1], NULL, 0));
    } else {
        wrong("no such command");
    }
    if (!found) {
        wrong("no such stream");
    }
}

struct input {
    char *text;
    size_t size;
    bool ended;
};

static void read_input(struct quic_peer *peer, struct input *input)
{
    char *end;
    ssize_t n =
        read(STDIN_FILENO, input->text + input->size, LINE_MAX_SIZE - input->size);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        input->ended = true;
    }
    input->size += n > 0 ? (size_t)n : 0;
    while ((end = memchr(input->text, '\n', input->size)) != NULL) {
        size_t size = (size_t)(end - input->text) + 1;
        *end = '\0';
        command(peer, input->text);
        puts("{\"event\":\"done\"}");
        memmove(input->text, input->text + size, input->size - size);
        input->size -= size;
    }
    if (input->size == LINE_MAX_SIZE) {
        wrong("a line is too long");
    }
}

static void read_flags(struct quic_peer_options *options, char **flags)
{
    for (; *flags; flags++) {
        if (strcmp(*flags, "hold") == 0) {
            options->hold = true;
        } else if (strcmp(*flags, "no-datagrams") == 0) {
            options->no_datagrams = true;
        } else if (strcmp(*flags, "stop-halfway") == 0) {
            options->stop_halfway = true;
        } else if (strncmp(*flags, "window=", 7) == 0) {
            options->window = strtoull(*flags + 7, NULL, 10);
        } else if (strncmp(*flags, "all=", 4) == 0) {
            options->all = strtoull(*flags + 4, NULL, 10);
        } else if (strncmp(*flags, "streams=", 8) == 0) {
            options->streams = strtoull(*flags + 8, NULL, 10);
        } else {
            wrong("no such flag");
        }
    }
}

int main(int argc, char **argv)
{
    struct quic_peer_options options = {.window = 1 << 20, .streams = 100};
    struct input input = {.text = malloc(LINE_MAX_SIZE)};
    bool lives = true;

    if (argc < 2 || !input.text) {
        wrong("say which port");
    }
    if (strcmp(argv[1], "first") == 0 && argc == 3) {
        for (long left = atol(argv[2]); left > 0; left--) {
            quic_peer_print_first(&options);
        }
        free(input.text);
        return 0;
    }
    options.port = (uint16_t)atoi(argv[1]);
    read_flags(&options, argv + 2);
    setvbuf(stdout, NULL, _IOLBF, 0);
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    struct quic_peer *peer = quic_peer_create(&options);
    while (lives && !input.ended) {
        lives = quic_peer_run(peer);
        struct pollfd watch[] = {{.fd = quic_peer_fd(peer), .events = POLLIN},
                                 {.fd = STDIN_FILENO, .events = POLLIN}};
        if (!lives || poll(watch, 2, quic_peer_timeout_ms(peer)) < 0) {
            break;
        }
        if (watch[1].revents) {
            read_input(peer, &input);
        }
    }
    quic_peer_destroy(peer);
    free(input.text);
    return 0;
}
