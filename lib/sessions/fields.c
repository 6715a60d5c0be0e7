/* SPDX-License-Identifier: MIT */
/* fields.c - header fields, in their order. */
#include <yomo/error.h>

#include "base/pairs.h"
#include "sessions/handle.h"

void yo_fields_init(struct yo_session_fields *fields, const struct yomo_mem *mem)
{
    yo_buf_init(&fields->text, mem);
    fields->count = 0;
}

void yo_fields_finish(struct yo_session_fields *fields)
{
    yo_buf_finish(&fields->text);
    fields->count = 0;
}

int yo_fields_add(struct yo_session_fields *fields, struct yo_span name,
                  struct yo_span value)
{
    if (yo_buf_reserve(&fields->text, name.size + value.size + 2) != YOMO_OK) {
        return YOMO_ERR_NOMEM;
    }
    (void)yo_buf_append_span(&fields->text, name);
    (void)yo_buf_append_byte(&fields->text, 0);
    (void)yo_buf_append_span(&fields->text, value);
    (void)yo_buf_append_byte(&fields->text, 0);
    fields->count++;
    return YOMO_OK;
}

int yo_fields_read(struct yo_session_fields *fields, struct yo_span pairs)
{
    struct yo_span name, value;
    int rv = YOMO_OK;
    while (rv == YOMO_OK && yo_pairs_next(&pairs, &name, &value)) {
        rv = yo_fields_add(fields, name, value);
    }
    return rv;
}

int yo_fields_write(const struct yo_session_fields *fields, struct yo_buf *pairs)
{
    int rv = YOMO_OK;
    for (uint32_t i = 0; rv == YOMO_OK && i < fields->count; i++) {
        rv = yo_pairs_append(pairs, yo_span_of(yo_fields_name(fields, i)),
                             yo_span_of(yo_fields_value(fields, i)));
    }
    return rv;
}

/* Field number `index`, from 0; its value stands behind it. */
static const char *find(const struct yo_session_fields *fields, uint32_t index)
{
    const char *at = (const char *)fields->text.data;
    if (index >= fields->count) {
        return NULL;
    }
    while (index-- > 0) {
        at += strlen(at) + 1;
        at += strlen(at) + 1;
    }
    return at;
}

const char *yo_fields_name(const struct yo_session_fields *fields, uint32_t index)
{
    return find(fields, index);
}

const char *yo_fields_value(const struct yo_session_fields *fields, uint32_t index)
{
    const char *name = find(fields, index);
    return name ? name + strlen(name) + 1 : NULL;
}
