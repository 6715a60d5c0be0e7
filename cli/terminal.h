/* SPDX-License-Identifier: MIT */
/* terminal.h - a screen for a conversation: lines scroll above, a line that says who is
 * there and the line being typed stay below.
 *
 *     12:04 Alice  hello
 *     12:04 Bob    hi there
 *      demo - Alice, Bob - webtransport
 *     > what I am typing_
 *
 * What has scrolled away stays in the terminal's own history: no alternate screen. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

#include "line.h"
#include "text.h"

struct terminal {
    bool colours;
    int columns;
    bool drawn;         /* the two lines below are on the screen */
    struct text status; /* who is there, harmless */
    struct text out;    /* what is about to be written */
};

/* Are stdin and stdout a terminal that can do this? */
bool terminal_usable(void);

/* Take keys one by one and stop their echo, until terminal_end, which also runs when
 * the program exits. False when the terminal refuses. */
bool terminal_begin(struct terminal *terminal);
void terminal_end(struct terminal *terminal);

/* The window may have another size now. */
void terminal_resize(struct terminal *terminal);

/* Put `text`, one or more whole lines, above; then draw what is below again. False when
 * nothing can be written any more. */
bool terminal_print(struct terminal *terminal, const char *text,
                    const struct line *line);
bool terminal_draw(struct terminal *terminal, const struct line *line);

#endif
