/* SPDX-License-Identifier: MIT */
#include "line.h"

#include <string.h>

#include "text.h"

#define CONTROL(letter) ((letter) - 0x40)

static size_t before(const struct line *line, size_t at)
{
    do {
        at--;
    } while (at > 0 && ((unsigned char)line->text[at] & 0xc0) == 0x80);
    return at;
}

static size_t behind(const struct line *line, size_t at)
{
    do {
        at++;
    } while (at < line->size && ((unsigned char)line->text[at] & 0xc0) == 0x80);
    return at;
}

static void cut(struct line *line, size_t from, size_t to)
{
    memmove(line->text + from, line->text + to, line->size - to + 1);
    line->size -= to - from;
    line->cursor = from;
}

/* A line that is full takes nothing more. */
static void insert(struct line *line, const char *bytes, size_t size)
{
    if (size > LINE_SIZE_MAX - line->size) {
        return;
    }
    memmove(line->text + line->cursor + size, line->text + line->cursor,
            line->size - line->cursor + 1);
    memcpy(line->text + line->cursor, bytes, size);
    line->size += size;
    line->cursor += size;
}

static void cut_word(struct line *line)
{
    size_t from = line->cursor;

    while (from > 0 && line->text[from - 1] == ' ') {
        from--;
    }
    while (from > 0 && line->text[from - 1] != ' ') {
        from--;
    }
    cut(line, from, line->cursor);
}

static void call_back(struct line *line)
{
    line->size = line->cursor = strlen(line->last);
    memcpy(line->text, line->last, line->size + 1);
}

static void move(struct line *line, char final)
{
    switch (final) {
    case 'A': /* up */
        call_back(line);
        break;
    case 'B': /* down */
        cut(line, 0, line->size);
        break;
    case 'C': /* right */
        line->cursor =
            line->cursor < line->size ? behind(line, line->cursor) : line->size;
        break;
    case 'D': /* left */
        line->cursor = line->cursor > 0 ? before(line, line->cursor) : 0;
        break;
    case 'H': /* home */
        line->cursor = 0;
        break;
    case 'F': /* end */
        line->cursor = line->size;
        break;
    default:
        break;
    }
}

static void cut_ahead(struct line *line)
{
    if (line->cursor < line->size) {
        cut(line, line->cursor, behind(line, line->cursor));
    }
}

/* ESC [ or ESC O, parameters, a letter or '~' (ECMA-48 5.4). */
static void take_escape(struct line *line, char byte)
{
    bool first = line->part_size == 1;

    if (first && (byte == '[' || byte == 'O')) {
        line->part[line->part_size++] = byte;
        return;
    }
    if (!first && byte >= 0x20 && byte < 0x40) { /* a parameter */
        if (line->part_size < sizeof(line->part)) {
            line->part[line->part_size++] = byte;
        }
        return;
    }
    if (!first && byte == '~' && line->part_size == 3) {
        switch (line->part[2]) {
        case '1':
        case '7':
            line->cursor = 0;
            break;
        case '3':
            cut_ahead(line);
            break;
        case '4':
        case '8':
            line->cursor = line->size;
            break;
        default:
            break;
        }
    } else if (!first && line->part_size == 2) {
        move(line, byte);
    }
    line->part_size = 0;
}

/* A character of several bytes, until it is whole or cannot become so. */
static void take_character(struct line *line, char byte)
{
    unsigned long point;
    unsigned char first;
    size_t wanted;

    if (line->part_size > 0 && ((unsigned char)byte & 0xc0) != 0x80) {
        line->part_size = 0;
    }
    line->part[line->part_size++] = byte;
    first = (unsigned char)line->part[0];
    wanted = first < 0xc2   ? 0
             : first < 0xe0 ? 2
             : first < 0xf0 ? 3
             : first < 0xf5 ? 4
                            : 0;
    if (wanted == 0) {
        line->part_size = 0;
    } else if (line->part_size == wanted) {
        if (utf8_next(line->part, wanted, &point) == wanted) {
            insert(line, line->part, wanted);
        }
        line->part_size = 0;
    }
}

static enum line_event take_control(struct line *line, char byte)
{
    switch (byte) {
    case '\r':
    case '\n':
        return LINE_ENTERED;
    case CONTROL('D'):
        if (line->size == 0) {
            return LINE_ENDED;
        }
        cut_ahead(line);
        break;
    case 0x7f:
    case CONTROL('H'):
        if (line->cursor > 0) {
            cut(line, before(line, line->cursor), line->cursor);
        }
        break;
    case CONTROL('U'):
        cut(line, 0, line->cursor);
        break;
    case CONTROL('K'):
        cut(line, line->cursor, line->size);
        break;
    case CONTROL('W'):
        cut_word(line);
        break;
    case CONTROL('A'):
        line->cursor = 0;
        break;
    case CONTROL('E'):
        line->cursor = line->size;
        break;
    case CONTROL('['):
        line->part[0] = byte;
        line->part_size = 1;
        break;
    default:
        break;
    }
    return LINE_NONE;
}

enum line_event line_feed(struct line *line, char byte)
{
    unsigned char c = (unsigned char)byte;

    if (line->part_size > 0 && line->part[0] == CONTROL('[') && c >= 0x20 && c < 0x7f) {
        take_escape(line, byte);
    } else if (c >= 0x80) {
        take_character(line, byte);
    } else {
        line->part_size = 0;
        if (c < 0x20 || c == 0x7f) {
            return take_control(line, byte);
        }
        insert(line, &byte, 1);
    }
    return LINE_NONE;
}

void line_clear(struct line *line)
{
    if (line->size > 0) {
        memcpy(line->last, line->text, line->size + 1);
    }
    line->size = line->cursor = line->part_size = 0;
    line->text[0] = '\0';
}
