/* SPDX-License-Identifier: MIT */
/* terminal.c - control sequences are the few of ECMA-48 that every terminal knows: CR,
 * up, erase to the end, bold, dim, colours. A line below is always cut to the window's
 * width, so that the two of them are two lines on the screen. */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "output.h"

static struct termios before; /* of the process's terminal, there is but one */
static bool raw;

static void restore(void)
{
    if (raw) {
        raw = false;
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    }
}

bool terminal_usable(void)
{
    const char *kind = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && kind && *kind &&
           strcmp(kind, "dumb") != 0;
}

void terminal_resize(struct terminal *terminal)
{
    struct winsize size;

    terminal->columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        terminal->columns = size.ws_col < 20 ? 20 : size.ws_col;
    }
}

bool terminal_begin(struct terminal *terminal)
{
    const char *plain = getenv("NO_COLOR");
    struct termios mode;
    static bool registered;

    memset(terminal, 0, sizeof(*terminal));
    terminal->colours = !plain || !*plain;
    terminal_resize(terminal);
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return false;
    }
    mode = before;
    mode.c_iflag &= ~(tcflag_t)(IXON | ICRNL);
    mode.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    mode.c_cc[VSUSP] =
        _POSIX_VDISABLE; /* stopped, it would leave the shell without echo */
    if (!registered) {
        registered = atexit(restore) == 0;
    }
    raw = tcsetattr(STDIN_FILENO, TCSADRAIN, &mode) == 0;
    return raw;
}

static void erase(struct terminal *terminal)
{
    if (terminal->drawn) {
        text_put(&terminal->out, "\r\033[A\033[J");
        terminal->drawn = false;
    }
}

void terminal_end(struct terminal *terminal)
{
    erase(terminal);
    output_flush(&terminal->out);
    restore();
    text_finish(&terminal->status);
    text_finish(&terminal->out);
}

/* The part of the line that is shown: around the cursor, as wide as there is room. */
static void draw_line(struct terminal *terminal, const struct line *line)
{
    int room = terminal->columns - 3;
    size_t from = 0, shown;

    while (text_columns(line->text + from, line->cursor - from) > room) {
        size_t step = text_fit(line->text + from, line->size - from, room / 2);
        from += step ? step : 1;
    }
    shown = text_fit(line->text + from, line->size - from, room);
    text_put(&terminal->out, "> ");
    text_add(&terminal->out, line->text + from, shown);
    text_format(&terminal->out, "\r\033[%dC",
                2 + text_columns(line->text + from, line->cursor - from));
}

static void draw(struct terminal *terminal, const struct line *line)
{
    const char *status = terminal->status.data ? terminal->status.data : "";
    int room = terminal->columns - 2;
    size_t shown = text_fit(status, strlen(status), room);

    text_put(&terminal->out, terminal->colours ? "\033[7m " : " ");
    text_add(&terminal->out, status, shown);
    if (terminal->colours) {
        for (int rest = room - text_columns(status, shown); rest > 0; rest--) {
            text_put(&terminal->out, " ");
        }
        text_put(&terminal->out, "\033[0m");
    }
    text_put(&terminal->out, "\r\n");
    draw_line(terminal, line);
    terminal->drawn = true;
}

bool terminal_print(struct terminal *terminal, const char *text,
                    const struct line *line)
{
    erase(terminal);
    text_put(&terminal->out, text);
    draw(terminal, line);
    return output_flush(&terminal->out);
}

bool terminal_draw(struct terminal *terminal, const struct line *line)
{
    return terminal_print(terminal, "", line);
}
