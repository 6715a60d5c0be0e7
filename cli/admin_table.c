/* SPDX-License-Identifier: MIT */
/* admin_table.c - JSON is looked at here only as far as needed to find flat values in
 * it. It comes from a server, which may lie: nothing is read beyond the NUL, and
 * nothing of it reaches a terminal that could move its cursor. */
#include "admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"

struct column {
    const char *name, *title;
    bool moment; /* milliseconds since 1970 */
};

static const struct list {
    const char *name;
    struct column columns[COLUMNS_MAX];
} lists[] = {
    {"rooms",
     {{"app", "APP", false},
      {"room", "ROOM", false},
      {"members", "MEMBERS", false},
      {"observers", "OBSERVERS", false}}},
    {"members",
     {{"session", "SESSION", false},
      {"id", "ID", false},
      {"address", "ADDRESS", false},
      {"transport", "TRANSPORT", false},
      {"client", "CLIENT", false},
      {"since", "SINCE", true}}},
    {"bans",
     {{"app", "APP", false},
      {"room", "ROOM", false},
      {"id", "ID", false},
      {"address", "ADDRESS", false},
      {"until", "UNTIL", true},
      {"reason", "REASON", false}}},
    {"apps",
     {{"app", "APP", false},
      {"connections", "CONNECTIONS", false},
      {"connections_max", "MAX", false},
      {"connections_refused", "REFUSED", false},
      {"rooms", "ROOMS", false},
      {"rooms_max", "MAX", false},
      {"rooms_refused", "REFUSED", false},
      {"message_rate", "MESSAGES/S", false},
      {"messages_refused", "REFUSED", false},
      {"byte_rate", "BYTES/S", false},
      {"bytes_refused", "REFUSED", false}}},
};

static const struct list *list_of(const char *name)
{
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (strcmp(lists[i].name, name) == 0) {
            return &lists[i];
        }
    }
    return NULL;
}

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the string, number, object, ... at `at`; NULL when it does not end. */
static const char *skip_value(const char *at)
{
    size_t depth = 0;

    do {
        if (*at == '"') {
            for (at++; *at && *at != '"'; at++) {
                at += *at == '\\' && at[1];
            }
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            if (depth == 0) {
                return at; /* the end of what the value is in */
            }
            depth--;
        } else if (*at == ',' && depth == 0) {
            return at;
        }
        if (*at == '\0') {
            return NULL;
        }
        at++;
    } while (depth > 0 || (*at && !strchr(",}]", *at)));
    return at;
}

/* The next member of an object, `*at` at its name or behind the one before. */
static bool next_member(const char **at, const char **name, size_t *name_size,
                        const char **value, size_t *value_size)
{
    const char *end;

    *at = skip_space(*at);
    *at += **at == ',' || **at == '{';
    *at = skip_space(*at);
    if (**at != '"') {
        return false;
    }
    end = strchr(*at + 1, '"'); /* our names have no escapes */
    if (!end) {
        return false;
    }
    *name = *at + 1;
    *name_size = (size_t)(end - *name);
    end = skip_space(end + 1);
    if (*end != ':') {
        return false;
    }
    *value = skip_space(end + 1);
    *at = skip_value(*value);
    if (!*at) {
        return false;
    }
    *value_size = (size_t)(*at - *value);
    return true;
}

static void put_cell(struct text *cell, const char *value, size_t size, bool moment)
{
    struct text json = {0}, plain = {0};
    char when[32] = "";
    struct tm parts;
    time_t seconds;

    text_add(&json, value, size);
    if (json.failed) {
        cell->failed = true;
    } else if (moment) {
        seconds = (time_t)(strtoull(json.data, NULL, 10) / 1000);
        if (gmtime_r(&seconds, &parts)) {
            strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &parts);
        }
        text_put(cell, when);
    } else if (value[0] == '"') {
        if (text_put_member(&plain, json.data, NULL) && plain.data) {
            text_put_harmless(cell, plain.data);
        }
        cell->failed |= plain.failed;
    } else {
        text_put_harmless(cell, json.data);
    }
    text_finish(&json);
    text_finish(&plain);
}

static bool add_row(struct table *table, const struct list *list, const char *object)
{
    struct text *cells =
        realloc(table->cells, (table->rows + 1) * table->columns * sizeof(*cells));
    const char *name, *value;
    size_t name_size, value_size;
    bool good = true;

    if (!cells) {
        return false;
    }
    table->cells = cells;
    cells += table->rows++ * table->columns;
    memset(cells, 0, table->columns * sizeof(*cells));
    while (next_member(&object, &name, &name_size, &value, &value_size)) {
        for (size_t i = 0; i < table->columns; i++) {
            const struct column *column = &list->columns[i];
            if (strlen(column->name) == name_size && cells[i].size == 0 &&
                memcmp(column->name, name, name_size) == 0) {
                put_cell(&cells[i], value, value_size, column->moment);
                good &= !cells[i].failed;
            }
        }
    }
    return good;
}

bool table_add(struct table *table, const char *name, const char *json)
{
    const struct list *list = list_of(name);
    const char *at = json, *key, *value;
    size_t key_size, value_size;

    while (table->columns < COLUMNS_MAX && list->columns[table->columns].name) {
        table->columns++;
    }
    if (!next_member(&at, &key, &key_size, &value, &value_size) || *value != '[') {
        return false;
    }
    for (at = skip_space(value + 1); *at == '{'; at = skip_space(at)) {
        if (!add_row(table, list, at)) {
            return false;
        }
        at = skip_value(at);
        if (!at) {
            return false;
        }
        at += *at == ',';
    }
    return *at == ']';
}

static void put_padded(struct text *line, const char *cell, size_t size, int width,
                       bool last)
{
    text_add(line, cell, size);
    for (int i = text_columns(cell, size); i < width + 2 && !last; i++) {
        text_put(line, " ");
    }
}

bool table_print(const struct table *table, const char *name)
{
    const struct list *list = list_of(name);
    int widths[COLUMNS_MAX] = {0};
    struct text line = {0};
    bool good = true;

    for (size_t c = 0; c < table->columns; c++) {
        widths[c] = (int)strlen(list->columns[c].title);
        for (size_t r = 0; r < table->rows; r++) {
            const struct text *cell = &table->cells[r * table->columns + c];
            int width = cell->data ? text_columns(cell->data, cell->size) : 0;
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (size_t r = 0; r <= table->rows && good; r++) {
        for (size_t c = 0; c < table->columns; c++) {
            const struct text *cell =
                r > 0 ? &table->cells[(r - 1) * table->columns + c] : NULL;
            const char *shown = !cell        ? list->columns[c].title
                                : cell->data ? cell->data
                                             : "";
            put_padded(&line, shown, cell ? cell->size : strlen(shown), widths[c],
                       c + 1 == table->columns);
        }
        text_put(&line, "\n");
        good = !line.failed && output_flush(&line);
    }
    text_finish(&line);
    return good;
}

void table_finish(struct table *table)
{
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        text_finish(&table->cells[i]);
    }
    free(table->cells);
    memset(table, 0, sizeof(*table));
}

bool object_print(struct text *out, const char *json)
{
    const char *at = json, *name, *value;
    size_t name_size, value_size, count = 0;

    while (next_member(&at, &name, &name_size, &value, &value_size)) {
        struct text cell = {0}, title = {0};
        put_cell(&cell, value, value_size, false);
        text_add(&title, name, name_size);
        if (title.data) {
            text_put_harmless(out, title.data);
        }
        text_put(out, "  ");
        text_put(out, cell.data ? cell.data : "");
        text_put(out, "\n");
        text_finish(&cell);
        text_finish(&title);
        count++;
    }
    return count > 0 && !out->failed;
}
