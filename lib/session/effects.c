/* SPDX-License-Identifier: MIT */
/* effects.c - invariants:
 *  1. until it is sealed a SEND has its place in `bytes` as an offset, since the buffer
 *     may move; after that as a span;
 *  2. an add that failed leaves the list as it was, with `failed` set. */
#include "session/effects.h"

#include "base/check.h"
#include "base/mem.h"
#include "wire/encode.h"

void yo_effects_init(struct yo_effects *effects, const struct yomo_mem *mem)
{
    *effects = (struct yo_effects){.mem = mem};
    yo_buf_init(&effects->bytes, mem);
}

void yo_effects_finish(struct yo_effects *effects)
{
    if (!effects || !effects->mem) {
        return;
    }
    yo_free(effects->mem, effects->list);
    yo_buf_finish(&effects->bytes);
    *effects = (struct yo_effects){0};
}

void yo_effects_clear(struct yo_effects *effects)
{
    effects->count = 0;
    effects->failed = false;
    yo_buf_clear(&effects->bytes);
}

int yo_effects_reserve(struct yo_effects *effects, size_t extra)
{
    size_t wanted = effects->capacity > 0 ? effects->capacity : 4;
    struct yo_effect *list;

    if (extra <= effects->capacity - effects->count) {
        return YOMO_OK;
    }
    while (wanted < effects->count + extra) {
        wanted *= 2;
    }
    list = yo_realloc(effects->mem, effects->list, wanted * sizeof(*list));
    if (!list) {
        effects->failed = true;
        return YOMO_ERR_NOMEM;
    }
    effects->list = list;
    effects->capacity = wanted;
    return YOMO_OK;
}

void yo_effects_cut(struct yo_effects *effects, size_t count)
{
    assert(count <= effects->count);
    for (size_t i = count; i < effects->count; i++) {
        if (effects->list[i].kind == YO_EFFECT_SEND) {
            effects->bytes.size = effects->list[i].offset;
            break;
        }
    }
    effects->count = count;
}

struct yo_effect *yo_effects_add(struct yo_effects *effects, enum yo_effect_kind kind)
{
    struct yo_effect *effect;

    if (yo_effects_reserve(effects, 1) != YOMO_OK) {
        return NULL;
    }
    effect = &effects->list[effects->count++];
    *effect = (struct yo_effect){.kind = kind};
    return effect;
}

void yo_effects_send(struct yo_effects *effects, uint32_t lane, int dialect,
                     const struct yo_message *message)
{
    size_t start = effects->bytes.size;
    struct yo_effect *effect;
    int rv;

    if (yo_effects_reserve(effects, 1) != YOMO_OK) {
        return;
    }
    rv = yo_encode(&effects->bytes, (enum yo_dialect)dialect, message);
    assert(rv != YOMO_ERR_INVALID);
    if (rv != YOMO_OK) {
        effects->failed = true;
        return;
    }
    effect = yo_effects_add(effects, YO_EFFECT_SEND);
    assert(effect);
    effect->lane = lane;
    effect->offset = start;
    effect->bytes.size = effects->bytes.size - start;
}

void yo_effects_seal(struct yo_effects *effects)
{
    for (size_t i = 0; i < effects->count; i++) {
        struct yo_effect *effect = &effects->list[i];
        if (effect->kind == YO_EFFECT_SEND) {
            effect->bytes.data = effects->bytes.data + effect->offset;
        }
    }
}
