/* SPDX-License-Identifier: MIT */
/* grants.c - the claims are copied once; names and patterns are spans into the copy. */
#include "server/auth/grants.h"

#include "base/check.h"
#include "server/auth/jwt.h"
#include "wire/limits.h"
#include "wire/msgpack.h"

#define DATA_SIZE_MAX 4096

struct rule {
    struct yo_span pattern;
    unsigned may;
};

struct yo_grants {
    const struct yomo_mem *mem;
    struct yo_span id, app, data;
    uint64_t expiry_s;
    bool everywhere; /* no `rooms` */
    struct rule *rules;
    size_t rule_count;
    uint8_t claims[];
};

bool yo_pattern_fits(struct yo_span pattern, struct yo_span text)
{
    size_t p = 0, t = 0;
    size_t star = SIZE_MAX, from = 0; /* the last `*`, and where its run ends so far */

    while (t < text.size) {
        if (p < pattern.size && pattern.data[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.size && pattern.data[p] == text.data[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.size && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.size;
}

static int refuse(const char **why, const char *text)
{
    *why = text;
    return YOMO_ERR_AUTH;
}

/* A name that may be shown to others, under `key`; absent when there is none. */
static int read_name(struct yo_span *out, struct yo_span map, const char *key,
                     size_t max)
{
    struct yo_span value = yo_mp_map_get(map, key);

    if (!value.data) {
        return YOMO_OK;
    }
    *out = yo_mp_as_str(value);
    return out->size > 0 && out->size <= max && !memchr(out->data, '\0', out->size)
               ? YOMO_OK
               : YOMO_ERR_INVALID;
}

static unsigned bit_of(struct yo_span word)
{
    static const struct {
        const char *word;
        unsigned bit;
    } words[] = {{"join", YO_MAY_JOIN},
                 {"send", YO_MAY_SEND},
                 {"presence", YO_MAY_PRESENCE},
                 {"admin", YO_MAY_ADMIN}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (yo_span_is(word, words[i].word)) {
            return words[i].bit;
        }
    }
    return 0;
}

/* An array of words that we know. */
static int read_rights(unsigned *may, struct yo_span value)
{
    struct yo_mp_reader reader;
    uint32_t count;

    yo_mp_reader_init(&reader, value);
    count = yo_mp_read_array(&reader);
    *may = 0;
    for (uint32_t i = 0; i < count && !reader.error; i++) {
        unsigned bit = bit_of(yo_mp_as_str(yo_mp_skip(&reader)));
        if (bit == 0) {
            return YOMO_ERR_INVALID;
        }
        *may |= bit;
    }
    return reader.error ? YOMO_ERR_INVALID : YOMO_OK;
}

static int read_rooms(struct yo_grants *grants, struct yo_span rooms)
{
    struct yo_mp_reader reader;
    uint32_t count;

    grants->everywhere = !rooms.data;
    if (!rooms.data) {
        return YOMO_OK;
    }
    yo_mp_reader_init(&reader, rooms);
    count = yo_mp_read_map(&reader);
    if (reader.error || count > YO_GRANTS_PATTERNS_MAX) {
        return YOMO_ERR_INVALID;
    }
    grants->rules = yo_calloc(grants->mem, count ? count : 1, sizeof(*grants->rules));
    if (!grants->rules) {
        return YOMO_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct rule *rule = &grants->rules[i];
        rule->pattern = yo_mp_as_str(yo_mp_skip(&reader));
        if (rule->pattern.size > YO_CHANNEL_SIZE_MAX ||
            read_rights(&rule->may, yo_mp_skip(&reader)) != YOMO_OK) {
            return YOMO_ERR_INVALID;
        }
        grants->rule_count++;
    }
    return reader.error ? YOMO_ERR_INVALID : YOMO_OK;
}

static bool is_map(struct yo_span value)
{
    struct yo_mp_reader reader;
    yo_mp_reader_init(&reader, value);
    yo_mp_read_map(&reader);
    return !reader.error;
}

static int read_ours(struct yo_grants *grants, struct yo_span ours, const char **why)
{
    int rv;

    if (ours.data && !yo_jwt_members_differ(ours)) {
        return refuse(why, "the claim `yomo` is not an object, or has a member twice");
    }
    if (read_name(&grants->app, ours, "app", YO_APP_SIZE_MAX) != YOMO_OK) {
        return refuse(why, "the claim `yomo.app` is not a name of 1 to 255 bytes");
    }
    grants->data = yo_mp_map_get(ours, "data");
    if (grants->data.data &&
        (!is_map(grants->data) || grants->data.size > DATA_SIZE_MAX ||
         yo_mp_check_portable(grants->data) < 0)) {
        return refuse(why,
                      "the claim `yomo.data` is not an object of at most 4096 bytes");
    }
    rv = read_rooms(grants, yo_mp_map_get(ours, "rooms"));
    return rv == YOMO_ERR_INVALID
               ? refuse(why,
                        "the claim `yomo.rooms` is not an object of at most 256 "
                        "patterns, each with an array of join, send, presence, admin")
               : rv;
}

int yo_grants_from_claims(struct yo_grants **out, const struct yomo_mem *mem,
                          struct yo_span claims, const char **why)
{
    struct yo_grants *grants = yo_malloc(mem, sizeof(*grants) + claims.size);
    int rv = YOMO_OK;

    *why = "";
    if (!grants) {
        return YOMO_ERR_NOMEM;
    }
    memset(grants, 0, sizeof(*grants));
    grants->mem = mem;
    if (claims.size > 0) {
        memcpy(grants->claims, claims.data, claims.size);
    }
    claims.data = grants->claims;
    (void)yo_jwt_date(claims, "exp", &grants->expiry_s); /* verifying has found one */
    if (read_name(&grants->id, claims, "sub", YO_ID_SIZE_MAX) != YOMO_OK) {
        rv = refuse(why, "the claim `sub` is not an id of 1 to 255 bytes");
    }
    rv = rv == YOMO_OK ? read_ours(grants, yo_mp_map_get(claims, "yomo"), why) : rv;
    if (rv != YOMO_OK) {
        yo_grants_free(grants);
        return rv;
    }
    *out = grants;
    return YOMO_OK;
}

void yo_grants_free(struct yo_grants *grants)
{
    if (grants) {
        yo_free(grants->mem, grants->rules);
        yo_free(grants->mem, grants);
    }
}

struct yo_span yo_grants_id(const struct yo_grants *grants)
{
    return grants->id;
}

struct yo_span yo_grants_app(const struct yo_grants *grants)
{
    return grants->app;
}

struct yo_span yo_grants_data(const struct yo_grants *grants)
{
    return grants->data;
}

uint64_t yo_grants_expiry_s(const struct yo_grants *grants)
{
    return grants->expiry_s;
}

unsigned yo_grants_for_app(const struct yo_grants *grants)
{
    unsigned may = grants->everywhere ? YO_MAY_ALL_BUT_ADMIN : 0;

    for (size_t i = 0; i < grants->rule_count; i++) {
        if (yo_pattern_fits(grants->rules[i].pattern, YO_SPAN_NONE)) {
            may |= grants->rules[i].pattern.size > 0 ? grants->rules[i].may : 0;
        }
    }
    return may;
}

unsigned yo_grants_for_room(const struct yo_grants *grants, struct yo_span room)
{
    unsigned may = grants->everywhere ? YO_MAY_ALL_BUT_ADMIN : 0;

    for (size_t i = 0; i < grants->rule_count; i++) {
        if (yo_pattern_fits(grants->rules[i].pattern, room)) {
            may |= grants->rules[i].may;
        }
    }
    return may;
}
