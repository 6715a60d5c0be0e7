/* SPDX-License-Identifier: MIT */
#include "session/request.h"

#include <yomo/error.h>
#include <yomo/request.h>

#include "base/check.h"
#include "base/text.h"
#include "wire/json.h"
#include "wire/limits.h"

static int give(yomo_request *request, const struct yo_answer *answer)
{
    int rv = request->ops->answer(request, answer);

    if (rv == YOMO_OK) {
        request->ops->free(request);
    }
    return rv;
}

int32_t yomo_request_reply(yomo_request *request, const void *data, size_t size,
                           int32_t encoding)
{
    struct yo_answer answer = {.data = yo_span(data ? data : "", size),
                               .encoding = (enum yomo_encoding)encoding};

    YO_REQUIRE(request && (data || size == 0));
    YO_REQUIRE(encoding == YOMO_JSON || encoding == YOMO_BYTES);
    if (size > YO_MESSAGE_SIZE_MAX) {
        return YOMO_ERR_TOO_BIG;
    }
    if (encoding == YOMO_JSON && yo_json_check(answer.data) != YOMO_OK) {
        return YOMO_ERR_JSON;
    }
    return give(request, &answer);
}

int32_t yomo_request_refuse(yomo_request *request, int32_t error, const char *text)
{
    struct yo_answer answer = {.error = error,
                               .text =
                                   text && text[0] ? yo_span_of(text) : YO_SPAN_NONE,
                               .data = yo_span_of("null")};

    YO_REQUIRE(request && error < 0 && error > -1000);
    YO_REQUIRE(answer.text.size <= YO_TEXT_SIZE_MAX && yo_utf8_valid(answer.text));
    return give(request, &answer);
}

void yomo_request_free(yomo_request *request)
{
    if (request) {
        request->ops->free(request);
    }
}
