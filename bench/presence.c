/* SPDX-License-Identifier: MIT */
/* presence - what coming, going and changing costs in a large room: presence MEMBERS.
 * Prints one JSON object.
 *
 * A room's home alone, on a virtual clock, without sessions and sockets: MEMBERS join
 * within ten seconds, then change their states 20 times a second in total for a minute,
 * then leave within ten seconds. What the members of two workers are sent is counted,
 * and the CPU time that the home took. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "server/home.h"
#include "wire/json.h"

#define WORKERS 2
#define STORM (10 * YO_SECOND)
#define CHANGES 1200
#define CHANGES_EACH (50 * YO_MS)

static struct yo_config config;
static struct yo_metrics metrics;
static struct yo_desk desks[WORKERS];
static struct yo_office office;
static struct yo_home home;
static struct yo_blob *key;
static yo_time now = 1000 * YO_SECOND;

/* What one member is told by all others, and the last one who joined. */
static size_t told, told_bytes, told_largest, pages, page_bytes;

static double cpu_seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void on_due(void *user)
{
    (void)user;
}

static void look_at(uint32_t worker, const struct yo_note *note)
{
    if (note->kind == YO_NOTE_JOINED) {
        pages = note->parcel_count;
        page_bytes = 0;
        for (size_t i = 0; i < note->parcel_count; i++) {
            page_bytes += note->parcels[i]->size;
        }
    } else if (note->kind == YO_NOTE_DELIVER && worker == 0) {
        size_t size = note->encoded[YO_DIALECT_YOMO]->size;
        told++;
        told_bytes += size;
        told_largest = size > told_largest ? size : told_largest;
    }
}

static void read_notes(void)
{
    struct yo_link *link;

    for (uint32_t w = 0; w < WORKERS; w++) {
        while ((link = yo_list_pop_front(&office.out[w])) != NULL) {
            struct yo_note *note = YO_CONTAINER(link, struct yo_note, letter.link);
            look_at(w, note);
            yo_note_free(note);
        }
    }
    office.due = false;
}

static void pass(yo_time span)
{
    yo_time until = now + span;

    while (yo_home_changes_deadline(&home) <= until) {
        now = yo_home_changes_deadline(&home);
        yo_home_changes_tick(&home, now);
        read_notes();
    }
    now = until;
}

static void take(enum yo_note_kind kind, uint64_t session, unsigned value)
{
    char id[32], json[96];
    struct yo_buf state;
    struct yo_note *note;

    snprintf(id, sizeof(id), "member-%06u", (unsigned)session);
    snprintf(json, sizeof(json), "{\"id\":\"%s\",\"name\":\"Somebody\",\"x\":%u}", id,
             value);
    note = yo_note_create(&yo_mem_libc, kind, key, yo_span_of(id), YO_SPAN_NONE,
                          YO_SPAN_NONE, YO_SPAN_NONE);
    yo_buf_init(&state, &yo_mem_libc);
    if (!note || yo_json_to_mp(&state, yo_span_of(json)) != YOMO_OK) {
        fprintf(stderr, "presence: out of memory\n");
        exit(1);
    }
    note->payload = kind == YO_NOTE_LEAVE
                        ? NULL
                        : yo_blob_create(&yo_mem_libc, yo_buf_span(&state));
    note->session = session;
    note->since_ms = 1700000000000;
    note->from = (uint32_t)(session % WORKERS);
    yo_buf_finish(&state);
    yo_home_take(&home, note, now);
    read_notes();
}

static void report(const char *name, double began, size_t count)
{
    printf(",\"%s\":{\"messages_to_each\":%zu,\"bytes_to_each\":%zu,"
           "\"largest_message\":%zu,\"home_us_each\":%.2f}",
           name, told, told_bytes, told_largest,
           (cpu_seconds() - began) * 1e6 / (double)count);
    told = told_bytes = told_largest = 0;
}

int main(int argc, char **argv)
{
    size_t members = argc > 1 ? strtoul(argv[1], NULL, 10) : 10000;
    struct rusage usage;
    double began;

    if (members < 2) {
        fprintf(stderr, "usage: presence MEMBERS\n");
        return 2;
    }
    config = (struct yo_config){.mem = &yo_mem_libc,
                                .rooms_max = 1,
                                .members_max = members,
                                .mesh = "bench",
                                .presence_interval = 50 * YO_MS};
    if (yo_office_init(&office, &yo_mem_libc, 0, WORKERS, desks, on_due, NULL) !=
        YOMO_OK) {
        return 1;
    }
    yo_home_init(&home, &yo_mem_libc, &config, &office, &metrics);
    key = yo_room_key(&yo_mem_libc, yo_span("\0room", 5));

    printf("{\"members\":%zu", members);
    began = cpu_seconds();
    for (size_t i = 1; i <= members; i++) {
        take(YO_NOTE_JOIN, i, 0);
        pass(STORM / members);
    }
    pass(YO_SECOND);
    report("joins", began, members);
    printf(",\"last_join\":{\"messages\":%zu,\"bytes\":%zu}", pages, page_bytes);

    began = cpu_seconds();
    for (unsigned i = 0; i < CHANGES; i++) {
        take(YO_NOTE_STATE, 1 + (i * 7919ull) % members, 1 + i);
        pass(CHANGES_EACH);
    }
    pass(YO_SECOND);
    report("updates", began, CHANGES);

    began = cpu_seconds();
    for (size_t i = 1; i <= members; i++) {
        take(YO_NOTE_LEAVE, i, 0);
        pass(STORM / members);
    }
    pass(YO_SECOND);
    report("leaves", began, members);
    getrusage(RUSAGE_SELF, &usage);
    printf(",\"resident_kib\":%ld}\n", usage.ru_maxrss);

    yo_home_finish(&home);
    yo_office_finish(&office, &yo_mem_libc);
    yo_blob_unref(key);
    return 0;
}
