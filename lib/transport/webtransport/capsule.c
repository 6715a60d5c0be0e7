/* SPDX-License-Identifier: MIT */
/* capsule.c - HEAD collects type and length byte by byte; VALUE collects a CLOSE or a
 * number; SKIP counts down what nobody wants. */
#include "transport/webtransport/capsule.h"

#include <string.h>
#include <yomo/error.h>

#include "base/text.h"
#include "base/varint.h"

#define CLOSE_SIZE_MAX (4 + YO_CLOSE_TEXT_MAX)

void yo_capsules_init(struct yo_capsules *capsules, const struct yomo_mem *mem)
{
    memset(capsules, 0, sizeof(*capsules));
    capsules->mem = mem;
    capsules->state = YO_CAPSULE_HEAD;
}

void yo_capsules_finish(struct yo_capsules *capsules)
{
    yo_free(capsules->mem, capsules->value);
    capsules->value = NULL;
}

bool yo_capsules_partial(const struct yo_capsules *capsules)
{
    return capsules->state != YO_CAPSULE_HEAD || capsules->head_size > 0;
}

/* Both varints of the head, if they are there. */
static bool head_complete(struct yo_capsules *c)
{
    struct yo_span head = yo_span(c->head, c->head_size);
    uint64_t type, length;
    size_t n = yo_varint_read(head, &type);
    if (n == 0 || yo_varint_read(yo_span_skip(head, n), &length) == 0) {
        return false;
    }
    c->type = type;
    c->left = length;
    return true;
}

static bool is_forbidden(uint64_t type)
{
    return type == YO_CAPSULE_MAX_STREAM_DATA || type == YO_CAPSULE_STREAM_DATA_BLOCKED;
}

/* One that has a number. */
static bool is_flow(const struct yo_capsules *c)
{
    return c->flow_control && c->type >= YO_CAPSULE_MAX_DATA &&
           c->type <= YO_CAPSULE_STREAMS_BLOCKED_UNI && !is_forbidden(c->type);
}

static int begin_value(struct yo_capsules *c)
{
    c->head_size = 0;
    c->value_size = 0;
    c->state = YO_CAPSULE_SKIP; /* a DRAIN has no value, but skip one all the same */
    if (is_flow(c)) {
        c->state = YO_CAPSULE_VALUE;
        return c->left >= 1 && c->left <= YO_VARINT_SIZE_MAX ? YOMO_OK : YOMO_ERR_PROTO;
    }
    if (c->type != YO_CAPSULE_CLOSE) {
        return YOMO_OK;
    }
    if (c->left < 4 || c->left > CLOSE_SIZE_MAX) {
        return YOMO_ERR_PROTO;
    }
    c->state = YO_CAPSULE_VALUE;
    c->value = yo_malloc(c->mem, (size_t)c->left);
    return c->value ? YOMO_OK : YOMO_ERR_NOMEM;
}

static int finish_value(struct yo_capsules *c, struct yo_capsule *capsule)
{
    bool collected = c->state == YO_CAPSULE_VALUE;
    c->state = YO_CAPSULE_HEAD;
    capsule->type = c->type;
    if (!collected) {
        if (c->type == YO_CAPSULE_DRAIN) {
            capsule->event = YO_CAPSULE_IS_DRAIN;
        } else if (c->flow_control && is_forbidden(c->type)) {
            capsule->event = YO_CAPSULE_IS_FORBIDDEN;
        }
        return YOMO_OK;
    }
    if (c->type != YO_CAPSULE_CLOSE) {
        capsule->event = YO_CAPSULE_IS_FLOW;
        struct yo_span number = yo_span(c->head, c->value_size);
        return yo_varint_read(number, &capsule->number) == c->value_size
                   ? YOMO_OK
                   : YOMO_ERR_PROTO;
    }
    const uint8_t *v = c->value;
    capsule->code =
        (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 | (uint32_t)v[2] << 8 | v[3];
    capsule->text = yo_span(v + 4, c->value_size - 4);
    c->closed = true; /* a wrong one, too: `value` is not taken again */
    if (!yo_utf8_valid(capsule->text)) {
        return YOMO_ERR_PROTO;
    }
    capsule->event = YO_CAPSULE_IS_CLOSE;
    return YOMO_OK;
}

/* Take what belongs to the value at hand. */
static void take(struct yo_capsules *c, struct yo_span *bytes)
{
    size_t n = bytes->size < c->left ? bytes->size : (size_t)c->left;
    if (c->state == YO_CAPSULE_VALUE && n > 0) {
        uint8_t *into = c->type == YO_CAPSULE_CLOSE ? c->value : c->head;
        memcpy(into + c->value_size, bytes->data, n);
        c->value_size += n;
    }
    c->left -= n;
    *bytes = yo_span_skip(*bytes, n);
}

int yo_capsules_read(struct yo_capsules *capsules, struct yo_span *bytes,
                     struct yo_capsule *capsule)
{
    capsule->event = YO_CAPSULE_NONE;
    while (bytes->size > 0) {
        if (capsules->closed) {
            return YOMO_ERR_PROTO;
        }
        if (capsules->state == YO_CAPSULE_HEAD) {
            capsules->head[capsules->head_size++] = bytes->data[0];
            *bytes = yo_span_skip(*bytes, 1);
            if (!head_complete(capsules)) {
                continue;
            }
            int rv = begin_value(capsules);
            if (rv != YOMO_OK) {
                return rv;
            }
        } else {
            take(capsules, bytes);
        }
        if (capsules->left == 0) {
            int rv = finish_value(capsules, capsule);
            if (rv != YOMO_OK || capsule->event != YO_CAPSULE_NONE) {
                return rv;
            }
        }
    }
    return YOMO_OK;
}

size_t yo_capsule_write_close(uint8_t *out, uint32_t code, struct yo_span text)
{
    size_t n = yo_varint_write(out, YO_CAPSULE_CLOSE);
    n += yo_varint_write(out + n, 4 + text.size);
    out[n++] = (uint8_t)(code >> 24);
    out[n++] = (uint8_t)(code >> 16);
    out[n++] = (uint8_t)(code >> 8);
    out[n++] = (uint8_t)code;
    if (text.size > 0) {
        memcpy(out + n, text.data, text.size);
    }
    return n + text.size;
}

size_t yo_capsule_write_drain(uint8_t *out)
{
    size_t n = yo_varint_write(out, YO_CAPSULE_DRAIN);
    return n + yo_varint_write(out + n, 0);
}

size_t yo_capsule_write_flow(uint8_t *out, uint64_t type, uint64_t number)
{
    size_t n = yo_varint_write(out, type);
    n += yo_varint_write(out + n, yo_varint_size(number));
    return n + yo_varint_write(out + n, number);
}
