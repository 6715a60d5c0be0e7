/* SPDX-License-Identifier: MIT */
/* What an operator may say, as JSON and as a query: taken or refused with a sentence,
 * and each text that was taken ends where it says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yomo/error.h>

#include "base/mem.h"
#include "base/text.h"
#include "server/admin_args.h"

#define REQUIRE(condition) ((condition) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct yo_admin_args *args, int rv)
{
    REQUIRE(rv == YOMO_OK || args->why[0] != '\0');
    for (int i = 0; rv == YOMO_OK && i < YO_ARGS; i++) {
        const char *text = args->texts[i];
        REQUIRE(!text || (args->given & YO_ARG_BIT(i)));
        REQUIRE(!text || yo_utf8_valid(yo_span_of(text)));
        REQUIRE(!text || (const uint8_t *)text >= args->text.data);
        REQUIRE(!text || (const uint8_t *)text + strlen(text) <
                             args->text.data + args->text.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const unsigned all = (1u << YO_ARGS) - 1;
    const unsigned takes[] = {all, all & ~YO_ARG_BIT(YO_ARG_ROOM)};

    for (size_t i = 0; i < 2; i++) {
        struct yo_admin_args json, query;
        yo_admin_args_init(&json, &yo_mem_libc);
        yo_admin_args_init(&query, &yo_mem_libc);
        check(&json, yo_admin_args_json(&json, yo_span(data, size), takes[i], 0));
        check(&query, yo_admin_args_query(&query, yo_span(data, size), takes[i],
                                          YO_ARG_BIT(YO_ARG_APP)));
        yo_admin_args_finish(&json);
        yo_admin_args_finish(&query);
    }
    return 0;
}
