/* SPDX-License-Identifier: MIT */
/* admin.h - a backend's answers to an operator, for people: tables. */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include "args.h"
#include "text.h"

#define COLUMNS_MAX 11

struct table {
    struct text *cells; /* [rows * columns] */
    size_t rows, columns;
};

/* The rows of one page of the list `name`: {"name":[{...},...]}. False when that is not
 * what it is, or without memory. */
bool table_add(struct table *table, const char *name, const char *json);
bool table_print(const struct table *table, const char *name);
void table_finish(struct table *table);

/* {"a":1,"b":"x"} as lines "a  1". False when it is no object. */
bool object_print(struct text *out, const char *json);

#endif
