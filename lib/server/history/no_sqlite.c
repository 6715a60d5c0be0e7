/* SPDX-License-Identifier: MIT */
/* no_sqlite.c - what stands for SQLite in a library that was built without it. */
#include <yomo/error.h>

#include "server/history/backend.h"

bool yo_sqlite_there(void)
{
    return false;
}

int yo_sqlite_create(struct yo_backend **out, const struct yomo_mem *mem,
                     const char *path, const struct yo_store_bounds *bounds)
{
    (void)mem, (void)path, (void)bounds;
    *out = NULL;
    return YOMO_ERR_OPTION;
}
