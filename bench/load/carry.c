/* SPDX-License-Identifier: MIT */
/* carry.c - for dialects that are a stream of bytes: what is not whole yet is kept
 * until more comes. */
#include "load.h"

#include <stdlib.h>
#include <string.h>

#define CARRY_MAX (1u << 20)

const char *find_text(const char *text, size_t size, const char *needle)
{
    return memmem(text, size, needle, strlen(needle));
}

const uint8_t *member_gather(struct member *member, const uint8_t *bytes, size_t *size)
{
    uint8_t *all;

    if (member->carry_size == 0) {
        return bytes;
    }
    all = realloc(member->carry, member->carry_size + *size);
    if (!all) {
        *size = 0;
        member_broken(member, "no memory");
        return bytes;
    }
    memcpy(all + member->carry_size, bytes, *size);
    member->carry = all;
    *size += member->carry_size;
    return all;
}

void member_keep(struct member *member, const uint8_t *rest, size_t size)
{
    if (size > CARRY_MAX) {
        member_broken(member, "a message that is too large");
        return;
    }
    if (size > 0 && member->carry_size > 0) {
        memmove(member->carry, rest, size);
    } else if (size > 0) {
        free(member->carry);
        member->carry = malloc(size);
        if (!member->carry) {
            member_broken(member, "no memory");
            return;
        }
        memcpy(member->carry, rest, size);
    }
    member->carry_size = (uint32_t)size;
}
