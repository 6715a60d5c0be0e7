/* SPDX-License-Identifier: MIT */
/* comma.h - a host that has set a locale in which one and a half is "1,5". */
#ifndef TESTS_SUPPORT_COMMA_H
#define TESTS_SUPPORT_COMMA_H

#include <stdbool.h>

/* Set LC_NUMERIC to such a locale, made on the spot where the machine has none. False
 * when there is no way to. comma_end goes back to "C". */
bool comma_begin(void);
void comma_end(void);

#endif
