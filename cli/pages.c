/* SPDX-License-Identifier: MIT */
/* pages.c - the program may have been installed elsewhere than it was built for, or not
 * at all; so it asks where it lies itself. */
#include "pages.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include <places.h> /* made by meson: YOMO_PLACE_... */

/* The folder that this program's file is in. */
static bool own_folder(char folder[PAGES_PATH_MAX])
{
    char *slash;
#ifdef __APPLE__
    uint32_t size = PAGES_PATH_MAX;
    if (_NSGetExecutablePath(folder, &size) != 0) {
        return false;
    }
#else
    ssize_t size = readlink("/proc/self/exe", folder, PAGES_PATH_MAX - 1);
    if (size <= 0) {
        return false;
    }
    folder[size] = '\0';
#endif
    slash = strrchr(folder, '/');
    if (!slash) {
        return false;
    }
    *slash = '\0';
    return true;
}

static bool has_page(const char *folder)
{
    char file[PAGES_PATH_MAX + 16];

    snprintf(file, sizeof(file), "%s/index.html", folder);
    return access(file, R_OK) == 0;
}

static bool try_folder(char folder[PAGES_PATH_MAX], const char *base, const char *below)
{
    int size = snprintf(folder, PAGES_PATH_MAX, "%s%s", base, below);

    return size > 0 && size < PAGES_PATH_MAX && has_page(folder);
}

/* Is `own` the folder that the program was built in, by whatever path? */
static bool is_build(const char *own)
{
    char *build = realpath(YOMO_PLACE_BUILD, NULL);
    bool same = build && strcmp(own, build) == 0;

    free(build);
    return same;
}

bool pages_find(char folder[PAGES_PATH_MAX])
{
    char own[PAGES_PATH_MAX];

    if (own_folder(own)) {
        if (is_build(own)) {
            return try_folder(folder, YOMO_PLACE_SOURCE, "/web");
        }
        if (try_folder(folder, own, "/" YOMO_PLACE_DATA_FROM_BIN "/web")) {
            return true;
        }
    }
    return try_folder(folder, YOMO_PLACE_DATA, "/web");
}
