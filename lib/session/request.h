/* SPDX-License-Identifier: MIT */
/* request.h - what is behind a yomo_request: somebody asked and waits for an answer.
 *
 * A client's program and a server's host answer with the same calls; what becomes of the
 * answer is the business of whoever made the request. */
#ifndef YO_SESSION_REQUEST_H
#define YO_SESSION_REQUEST_H

#include <yomo/types.h>

#include "base/span.h"

struct yo_answer {
    int error;           /* 0: none */
    struct yo_span text; /* why, with an error */
    struct yo_span data;
    enum yomo_encoding encoding;
};

struct yo_request_ops {
    /* Checked by the caller. YOMO_OK: it is on its way. */
    int (*answer)(yomo_request *request, const struct yo_answer *answer);
    void (*free)(yomo_request *request);
};

/* The first member of every request. */
struct yomo_request {
    const struct yo_request_ops *ops;
};

#endif
