/* SPDX-License-Identifier: MIT */
/* comma.c - glibc's localedef compiles a locale of a few lines, and a character map, so
 * that nothing else need be installed. It complains about all that is missing, and
 * writes the locale all the same. */
#include "support/comma.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_comma(const char *name)
{
    char text[16];

    if (!setlocale(LC_NUMERIC, name)) {
        return false;
    }
    snprintf(text, sizeof(text), "%.1f", 1.5);
    return strcmp(text, "1,5") == 0;
}

static bool write_source(const char *path)
{
    FILE *file = fopen(path, "w");

    if (!file) {
        return false;
    }
    fputs("LC_NUMERIC\n"
          "decimal_point \"<U002C>\"\n"
          "thousands_sep \"<U002E>\"\n"
          "grouping 3;3\n"
          "END LC_NUMERIC\n",
          file);
    return fclose(file) == 0;
}

static bool write_charmap(const char *path)
{
    FILE *file = fopen(path, "w");

    if (!file) {
        return false;
    }
    fputs("<code_set_name> ASCII\n<comment_char> %\n<escape_char> /\nCHARMAP\n", file);
    for (unsigned i = 0; i < 128; i++) {
        fprintf(file, "<U%04X> /x%02x\n", i, i);
    }
    fputs("END CHARMAP\n", file);
    return fclose(file) == 0;
}

static bool make_locale(void)
{
    char folder[] = "/tmp/yomo-comma-XXXXXX";
    char source[64], charmap[64], command[512];
    bool made;

    if (!mkdtemp(folder)) {
        return false;
    }
    snprintf(source, sizeof(source), "%s/source", folder);
    snprintf(charmap, sizeof(charmap), "%s/charmap", folder);
    snprintf(command, sizeof(command),
             "localedef -c -i %s -f %s %s/comma >%s/log 2>&1; test -d %s/comma", source,
             charmap, folder, folder, folder);
    made = write_source(source) && write_charmap(charmap) && system(command) == 0 &&
           setenv("LOCPATH", folder, 1) == 0 && has_comma("comma");
    unsetenv("LOCPATH"); /* it is loaded, or it never will be */
    snprintf(command, sizeof(command), "rm -r %s", folder);
    if (system(command) != 0) {
        fprintf(stderr, "%s is left behind\n", folder);
    }
    return made;
}

bool comma_begin(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "de_DE",
                                        "fr_FR.UTF-8", "fr_FR.utf8"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (has_comma(names[i])) {
            return true;
        }
    }
    return make_locale();
}

void comma_end(void)
{
    setlocale(LC_NUMERIC, "C");
}
