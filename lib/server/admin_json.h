/* SPDX-License-Identifier: MIT */
/* admin_json.h - answers to operators, as JSON. A failed append is in out->failed. */
#ifndef YO_SERVER_ADMIN_JSON_H
#define YO_SERVER_ADMIN_JSON_H

#include "base/buf.h"
#include "server/listing.h"

struct yomo_server;

enum yo_admin_list { YO_LIST_ROOMS, YO_LIST_MEMBERS, YO_LIST_BANS, YO_LIST_APPS };

void yo_admin_write_list(struct yo_buf *out, enum yo_admin_list list,
                         const struct yomo_listing *page);
void yo_admin_write_error(struct yo_buf *out, const char *name, const char *text);
void yo_admin_write_stats(struct yo_buf *out, struct yomo_server *server);

#endif
