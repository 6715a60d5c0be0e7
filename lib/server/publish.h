/* SPDX-License-Identifier: MIT */
/* publish.h - what the host says, spelled (publish.c). Thread: any. */
#ifndef YO_SERVER_PUBLISH_H
#define YO_SERVER_PUBLISH_H

#include "server/handle.h"

/* A name as it may travel: not NULL, not empty, UTF-8. */
bool yo_good_name(const char *name, size_t max);

/* YOMO_ERR_JSON, YOMO_ERR_TOO_BIG, YOMO_ERR_NOMEM. */
int yo_server_write_payload(struct yomo_server *server, const char *event,
                            struct yo_span data, int32_t encoding,
                            struct yo_blob **out);

#endif
