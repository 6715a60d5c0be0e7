/* SPDX-License-Identifier: MIT */
/* value.h - what the text of a value means, and whether an option takes it. */
#ifndef YO_OPTIONS_VALUE_H
#define YO_OPTIONS_VALUE_H

#include "options/table.h"

/* Each: YOMO_ERR_INVALID when `text` is not of that kind. */
int yo_value_number(struct yo_span text, uint64_t *number);
int yo_value_ms(struct yo_span text, uint64_t *ms);
int yo_value_switch(struct yo_span text, bool *on);

/* The number of the word `text` in "a|b|c", or -1. */
int yo_value_choice(const char *choices, struct yo_span text);

/* Take the next word of a list from the front of `*rest`, without the blanks around it.
 * False when there is none left. */
bool yo_value_word(struct yo_span *rest, struct yo_span *word);

/* The words of app-limits, APP:LIMIT=NUMBER, and what each LIMIT is called when it is
 * for all applications: the option whose numbers it takes. `what` is its place among
 * them, of which there are YO_APP_LIMIT_WORDS. YOMO_ERR_INVALID. */
#define YO_APP_LIMIT_WORDS 4
int yo_value_app_limit(struct yo_span word, struct yo_span *app, int *what,
                       uint64_t *value);
const char *yo_value_app_option(int what);

/* Does `option` take `text`? YOMO_ERR_OPTION: `wanted` then says in words what it would
 * take ("a number from 0 to 65535"). */
int yo_value_check(const struct yo_option *option, struct yo_span text, char *wanted,
                   size_t size);

#endif
