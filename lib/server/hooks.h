/* SPDX-License-Identifier: MIT */
/* hooks.h - what a hook of the host's is shown of a member: lent for the call. */
#ifndef YO_SERVER_HOOKS_H
#define YO_SERVER_HOOKS_H

#include <yomo/server.h>

#include "wire/limits.h"

/* Whom a message names. */
struct yo_addressee {
    uint64_t session; /* 0: a user ... */
    size_t user;      /* ... whose id lies at this place of `names` */
};

struct yomo_addressees {
    size_t count;
    const char *names;
    struct yo_addressee list[YO_TARGETS_MAX];
};

struct yomo_member {
    const char *id, *app, *address, *room;
    uint64_t session;
    const struct yomo_addressees *to; /* on_message; NULL: everybody */
};

#endif
