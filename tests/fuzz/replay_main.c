/* SPDX-License-Identifier: MIT
 *
 * replay_main.c - runs a fuzz target without a fuzzer, over every file of the folders
 * (or files) given as arguments.
 *
 * Each input is also given cut short at every length up to REPLAY_CUTS_MAX, from a heap
 * block of exactly that size, so that a sanitizer sees the first byte read too far. No
 * input at all is a failure: an empty corpus proves nothing. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REPLAY_CUTS_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long replayed;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "replay: %s %s: %s\n", what, path, strerror(errno));
    exit(1);
}

static void feed(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);

    if (exact == NULL) {
        die("cannot allocate a copy of", "an input");
    }
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void replay_file(const char *path, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    FILE *file = fopen(path, "rb");

    if (file == NULL || bytes == NULL) {
        die("cannot open", path);
    }
    if (fread(bytes, 1, size, file) != size) {
        die("cannot read", path);
    }
    fclose(file);
    fprintf(stderr, "replay: %s\n", path);
    feed(bytes, size);
    for (size_t cut = 0; cut < size && cut < REPLAY_CUTS_MAX; cut++) {
        feed(bytes, cut);
    }
    free(bytes);
    replayed++;
}

static void replay_path(const char *path)
{
    struct stat st;
    struct dirent *entry;
    DIR *folder;

    if (stat(path, &st) != 0) {
        die("cannot find", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    folder = opendir(path);
    if (folder == NULL) {
        die("cannot list", path);
    }
    while ((entry = readdir(folder)) != NULL) {
        char child[4096];

        if (entry->d_name[0] == '.') {
            continue;
        }
        if (snprintf(child, sizeof(child), "%s/%s", path, entry->d_name) >=
            (int)sizeof(child)) {
            errno = ENAMETOOLONG;
            die("cannot replay", path);
        }
        replay_path(child);
    }
    closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        replay_path(argv[i]);
    }
    if (replayed == 0) {
        fprintf(stderr, "replay: no input was found. Give a corpus folder with at least "
                        "one file in it.\n");
        return 1;
    }
    printf("replayed %lu inputs\n", replayed);
    return 0;
}
