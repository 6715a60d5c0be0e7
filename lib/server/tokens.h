/* SPDX-License-Identifier: MIT */
/* tokens.h - a server's token keys, and what became of checking a token.
 *
 * The keys come from the file that option `token-keys` names; they are read when the
 * server begins to listen and again at each reload. Connections that stand keep what
 * their token allowed. */
#ifndef YO_SERVER_TOKENS_H
#define YO_SERVER_TOKENS_H

#include "server/auth/grants.h"
#include "server/handle.h"

/* Read the keys, if the options name any. YOMO_ERR_FILE with a sentence in `why`, and
 * the old ones stay; YOMO_ERR_NOMEM. Thread: any. */
int yo_server_read_tokens(struct yomo_server *server, struct yo_buf *why);

/* The same in two steps: read them, NULL when the options name none; they count. */
int yo_server_load_tokens(struct yomo_server *server, struct yo_auth_keys **out,
                          struct yo_buf *why);
void yo_server_take_tokens(struct yomo_server *server, struct yo_auth_keys *keys);

/* What `token` allows. YOMO_ERR_AUTH, and `why` is a sentence for the log;
 * YOMO_ERR_NOMEM. Only where config.tokens is set. Thread: any. */
int yo_server_check_token(struct yomo_server *server, struct yo_span token,
                          struct yo_grants **out, const char **why);

#endif
