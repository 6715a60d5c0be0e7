/* SPDX-License-Identifier: MIT */
/* admin_auth.h - may this request do what an operator does?
 *
 * Only by an Authorization header: with the secret of admin-token-file, which may do
 * everything, or with a token (docs/tokens.md) whose rights have `admin`, which may do
 * what they say. A page in a browser is refused whatever it brings. */
#ifndef YO_SERVER_ADMIN_AUTH_H
#define YO_SERVER_ADMIN_AUTH_H

#include "base/buf.h"
#include "server/auth/grants.h"
#include "transport/http/exchange.h"

struct yomo_server;

#define YO_ADMIN_SECRET_MIN 32u

/* Read the secret, if the options name a file. YOMO_ERR_FILE with a sentence in `why`,
 * and the old one stays; YOMO_ERR_NOMEM. Thread: any. */
int yo_admin_read_secret(struct yomo_server *server, struct yo_buf *why);
void yo_admin_forget_secret(struct yo_buf *secret);

/* The same in two steps: read it into `secret`, which is empty and stays so when the
 * options name none; it counts, and `secret` is then the old one, to be forgotten. */
int yo_admin_load_secret(struct yomo_server *server, struct yo_buf *secret,
                         struct yo_buf *why);
void yo_admin_take_secret(struct yomo_server *server, struct yo_buf *secret);

/* Who asks. */
struct yo_operator {
    struct yo_grants *grants; /* NULL: may do everything; yo_grants_free */
};

/* 0, or the HTTP status of the refusal, with a sentence. Thread: any. */
int yo_admin_authorise(struct yomo_server *server, const struct yo_exchange *exchange,
                       struct yo_operator *operator, const char ** why);

/* May he, in this room (absent: in the application as a whole)? */
bool yo_operator_may(const struct yo_operator *operator, struct yo_span app,
                     struct yo_span room);

/* May he, whatever it is about? */
bool yo_operator_may_all(const struct yo_operator *operator);

#endif
