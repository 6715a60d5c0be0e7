/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "signals.h"

/* A reader that stops reading stops this program, that is what a pipe is for; but not
 * so that it cannot be ended. */
static bool wait_writable(void)
{
    struct pollfd watch = {.fd = STDOUT_FILENO, .events = POLLOUT};

    while (poll(&watch, 1, -1) < 0) {
        if (errno != EINTR || signals_ending()) {
            return false;
        }
    }
    return !(watch.revents & (POLLERR | POLLNVAL));
}

bool output_flush(struct text *text)
{
    size_t done = 0;
    bool good = true;

    while (good && done < text->size) {
        ssize_t written = write(STDOUT_FILENO, text->data + done, text->size - done);
        if (written > 0) {
            done += (size_t)written;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            good = wait_writable();
        } else if (errno != EINTR || signals_ending()) {
            good = false;
        }
    }
    text_clear(text);
    return good;
}
