/* SPDX-License-Identifier: MIT */
/* inside.h - what the files of loop/ know of each other; for nobody else. */
#ifndef YO_LOOP_INSIDE_H
#define YO_LOOP_INSIDE_H

#include <uv.h>

#include "loop/loop.h"
#include "loop/udp.h"

#define YO_LOOP_READ_SIZE 65536

struct yo_loop {
    const struct yomo_mem *mem;
    struct yo_log log;
    uv_loop_t *uv;
    uv_loop_t own; /* `uv` points here when the loop is ours */
    bool owned;
    uv_timer_t alarm;     /* the earliest of `timers` */
    uv_prepare_t prepare; /* before the sleep, */
    uv_check_t check;     /* and after what it brought: where turns end */
    bool armed;           /* both are started: something has begun */
    uv_idle_t awake;      /* runs while tasks wait: no sleep */
    struct yo_heap timers;
    size_t reserved;      /* timers that must not fail to be set */
    struct yo_link tasks; /* deferred */
    yo_time now;          /* of this turn, when `fresh` */
    bool fresh;           /* `now` was read in this turn */
    bool firing;          /* timers are being fired, those due at `now` */
    bool touched;         /* libuv has not told the kernel of all watchers yet */
    bool closing, finished;
    uint64_t alarm_ms;    /* when `alarm` is due on libuv's clock; 0: stopped */
    size_t handles;       /* libuv handles and requests that are not gone yet */
    struct yo_routes *routes; /* routes.c; NULL: nobody watches */
    size_t watching;          /* how many do */
    uint8_t *read_buffer; /* YO_LOOP_READ_SIZE bytes for whoever reads now */
    void (*on_closed)(void *user);
    void *user;
};

/* Every callback that libuv makes into this folder begins with this. Returns `now`. */
yo_time yo_loop_enter(struct yo_loop *loop);

/* A watcher was started or stopped. */
void yo_loop_touch(struct yo_loop *loop);

/* Counting of what keeps the loop from being closed. */
void yo_loop_hold(struct yo_loop *loop);
void yo_loop_drop(struct yo_loop *loop);

uint8_t *yo_loop_read_buffer(struct yo_loop *loop); /* NULL: no memory */

/* A socket that does not block and is not inherited. -1, and errno tells why. */
int yo_socket_open(int family, int type);
int yo_socket_adopt(int fd); /* 0, or -1: make it so */

/* From errno: YOMO_ERR_IN_USE, YOMO_ERR_UNREACHABLE, ..., else YOMO_ERR_SYSTEM. */
int yo_socket_error(int number);

#endif
