/* SPDX-License-Identifier: MIT */
/* admin_args.h - what a request of an operator says: the members of a JSON object, or
 * the parameters of a query. Pure.
 *
 * Nothing is passed over: a member that a request does not take, that is there twice or
 * is of another type is an error with a sentence, since an operator who mistypes `room`
 * must not close more than he means. */
#ifndef YO_SERVER_ADMIN_ARGS_H
#define YO_SERVER_ADMIN_ARGS_H

#include "base/buf.h"
#include "base/span.h"

enum yo_admin_arg {
    YO_ARG_APP,
    YO_ARG_ROOM,
    YO_ARG_ID,
    YO_ARG_SESSION, /* a number, or its digits as a string */
    YO_ARG_ADDRESS,
    YO_ARG_REASON,
    YO_ARG_SECONDS, /* a number */
    YO_ARG_FROM,
    YO_ARG_EVENT,
    YO_ARG_DATA,   /* any JSON value */
    YO_ARG_BASE64, /* bytes instead of it */
    YO_ARG_DELIVERY,
    YO_ARG_PREFIX,
    YO_ARG_AFTER,
    YO_ARG_MAX, /* a number */
    YO_ARG_KEY,
    YO_ARG_VERSION, /* a number, or its digits */
    YO_ARGS
};
#define YO_ARG_BIT(arg) (1u << (arg))

struct yo_admin_args {
    unsigned given;             /* YO_ARG_BIT of what was */
    const char *texts[YO_ARGS]; /* NULL where not given, or of another type */
    uint64_t numbers[YO_ARGS];
    struct yo_span data;         /* YO_ARG_DATA: JSON text; YO_ARG_BASE64: the bytes */
    struct yo_buf text, payload; /* back the above */
    char why[160];               /* a sentence, after an error */
};

void yo_admin_args_init(struct yo_admin_args *args, const struct yomo_mem *mem);
void yo_admin_args_finish(struct yo_admin_args *args);

/* `takes` are the bits of what may be given, `needs` of what must. YOMO_ERR_INVALID,
 * YOMO_ERR_JSON, both with a sentence; YOMO_ERR_NOMEM. */
int yo_admin_args_query(struct yo_admin_args *args, struct yo_span query,
                        unsigned takes, unsigned needs);
int yo_admin_args_json(struct yo_admin_args *args, struct yo_span body, unsigned takes,
                       unsigned needs);

/* Who names no application means `app`. After one of the two above; the same errors. */
int yo_admin_args_default_app(struct yo_admin_args *args, struct yo_span app);

#endif
