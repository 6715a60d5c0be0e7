/* SPDX-License-Identifier: MIT */
/* mem.h - the allocator that every module is handed.
 *
 * Nothing in lib/ calls malloc by its own name: a host may bring its allocator, and the
 * tests bring one that fails. */
#ifndef YO_BASE_MEM_H
#define YO_BASE_MEM_H

#include <stddef.h>
#include <yomo/types.h>

/* The C library's allocator: used where the host names none. */
extern const struct yomo_mem yo_mem_libc;

void *yo_malloc(const struct yomo_mem *mem, size_t size);
void *yo_calloc(const struct yomo_mem *mem, size_t count, size_t size); /* 0 on overflow */
void *yo_realloc(const struct yomo_mem *mem, void *old, size_t size);
void yo_free(const struct yomo_mem *mem, void *memory);

/* A copy of `size` bytes with a NUL behind them, or NULL. */
char *yo_strndup(const struct yomo_mem *mem, const void *bytes, size_t size);

/* From a pointer to a member to the struct around it. */
#define YO_CONTAINER(pointer, type, member)                                              \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
