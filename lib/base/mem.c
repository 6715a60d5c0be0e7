/* SPDX-License-Identifier: MIT */
/* mem.c - a request for nothing is answered with one byte, so that NULL always means
 * that there is no memory, whatever the allocator thinks of a size of 0. */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *libc_malloc(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void *libc_realloc(void *user, void *old, size_t size)
{
    (void)user;
    return realloc(old, size);
}

static void libc_free(void *user, void *memory)
{
    (void)user;
    free(memory);
}

const struct yomo_mem yo_mem_libc = {NULL, libc_malloc, libc_realloc, libc_free};

void *yo_malloc(const struct yomo_mem *mem, size_t size)
{
    return mem->malloc(mem->user, size > 0 ? size : 1);
}

void *yo_calloc(const struct yomo_mem *mem, size_t count, size_t size)
{
    void *memory;

    if (size > 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    memory = yo_malloc(mem, count * size);
    if (memory) {
        memset(memory, 0, count * size);
    }
    return memory;
}

void *yo_realloc(const struct yomo_mem *mem, void *old, size_t size)
{
    return mem->realloc(mem->user, old, size > 0 ? size : 1);
}

void yo_free(const struct yomo_mem *mem, void *memory)
{
    if (memory) {
        mem->free(mem->user, memory);
    }
}

char *yo_strndup(const struct yomo_mem *mem, const void *bytes, size_t size)
{
    char *copy;

    if (size == SIZE_MAX) {
        return NULL;
    }
    copy = yo_malloc(mem, size + 1);
    if (!copy) {
        return NULL;
    }
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    copy[size] = '\0';
    return copy;
}
