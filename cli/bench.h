/* SPDX-License-Identifier: MIT */
/* bench.h - what the parts of `yomo bench` know of each other.
 *
 * bench.c is the conductor, on the main thread; bench_load.c the clients, on threads with
 * a libuv loop each; bench_server.c the backend, a process of its own that is looked at
 * from outside; bench_report.c says what came out. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <yomo/yomo.h>

/* What is asked for. */
struct bench_plan {
    yomo_options *options; /* of the clients, `url` among them */
    bool idle;             /* connections that do nothing */
    uint32_t connections;
    uint32_t rooms;   /* 0: the connections are in none */
    uint32_t members; /* of each room but perhaps the last */
    uint32_t senders; /* of each room */
    double rate;      /* messages a second of each sender; 0: as fast as it goes */
    size_t size;      /* bytes of data of each message */
    int32_t delivery;
    uint64_t run_ns;
    uint32_t threads, workers;
    const char *program; /* the backend; NULL: this very file */
};

#define BENCH_THREADS_MAX 64

uint64_t bench_now(void); /* nanoseconds, monotonic */

/* --- bench_histogram.c: how often each value came, to about 3 percent ------------- */

enum { BENCH_BUCKETS = 1920 };

struct bench_histogram {
    uint64_t count, max, sum;
    uint64_t buckets[BENCH_BUCKETS];
};

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value);
void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from);
/* The value that `share` (0 to 1) of all are not greater than; 0 when there are none. */
uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share);

/* --- bench_load.c: the clients ----------------------------------------------------- */

/* What all clients together saw. */
struct bench_sums {
    uint64_t sent;      /* messages that were broadcast */
    uint64_t refused;   /* that yomo_room_send did not take */
    uint64_t expected;  /* deliveries that should follow from those that were sent */
    uint64_t received;  /* deliveries */
    uint64_t duplicate; /* came twice (RELIABLE), */
    uint64_t disordered; /* behind a newer one of the same sender, */
    uint64_t missing;   /* were skipped (RELIABLE), */
    uint64_t damaged;   /* with other bytes than were sent */
    uint64_t reconnects, failures; /* connections that were lost, that ended for good */
    int32_t error;      /* of the first of these */
    struct bench_histogram latency; /* nanoseconds from the call to the callback */
};

struct bench_load;

/* Start threads and clients; they connect and join by themselves. NULL: no memory, or no
 * threads. */
struct bench_load *bench_load_start(const struct bench_plan *plan);
uint32_t bench_load_ready(const struct bench_load *load);    /* connected, joined */
uint32_t bench_load_failed(const struct bench_load *load);   /* ended for good */
/* Of the deliveries that should follow from what was sent so far, how many are missing? */
uint64_t bench_load_awaited(const struct bench_load *load);
uint64_t bench_load_active(const struct bench_load *load);   /* when something last came */
/* CPU seconds of each thread up to now; not once it is closed. */
void bench_load_cpu(const struct bench_load *load, double *seconds);
void bench_load_send(struct bench_load *load);  /* begin to send */
void bench_load_quiet(struct bench_load *load); /* send no more */
void bench_load_close(struct bench_load *load); /* all clients */
bool bench_load_closed(const struct bench_load *load);
/* What they saw; once bench_load_closed. */
void bench_load_sum(struct bench_load *load, struct bench_sums *sums);
void bench_load_free(struct bench_load *load); /* once closed */

/* --- bench_server.c: the backend --------------------------------------------------- */

struct bench_server {
    pid_t pid;        /* 0: not ours, nothing is known of it */
    int errors;       /* its stderr */
    char folder[256]; /* its state; removed with it */
    char line[4096];  /* its stderr, as far as it is no whole line yet */
    size_t line_size;
    bool listening, ending;
    uint32_t port, http_port;
    char certificate[65];
};

/* The backend at one moment. */
struct bench_sample {
    uint64_t at;         /* bench_now() */
    double cpu;          /* seconds of all its threads */
    double user, system; /* the same, in the kernel's coarser account */
    uint64_t rss;        /* bytes */
    /* From its /metrics; 0 where it has none. */
    uint64_t deliveries, message_bytes, packets_in, packets_out, bytes_in, bytes_out;
    uint64_t dropped, lost, longest_turn_us;
    uint64_t replayed; /* messages to those who took their seats again */
};

/* Start one on loopback, with `extra` flags (words with blanks between; NULL: none).
 * 0, or -1 with errno. */
int bench_server_start(struct bench_server *server, const struct bench_plan *plan,
                       const char *extra);
/* Ask it to end; has it? Once it has: start it again, in its folder, at its port. 0, or -1
 * with errno. */
void bench_server_signal(struct bench_server *server);
bool bench_server_ended(struct bench_server *server);
int bench_server_restart(struct bench_server *server, const struct bench_plan *plan,
                         const char *extra);
/* Take what it wrote to stderr: shown on ours, but for what is known to come. False when
 * it has ended. */
bool bench_server_read(struct bench_server *server);
void bench_server_sample(const struct bench_server *server, struct bench_sample *sample);
void bench_server_stop(struct bench_server *server); /* and wait for it, 5 s at most */

/* --- bench_report.c ----------------------------------------------------------------- */

/* What came out. */
struct bench_result {
    struct bench_sums sums;
    struct bench_sample born;   /* the server before the first connection, */
    struct bench_sample before; /* with all connections, before the first message, */
    struct bench_sample after;  /* and when the last had come */
    double connect_seconds;     /* until all were there */
    double sending_seconds;
    double busiest;             /* CPU seconds of our thread that had most to do, and */
    double own_cpu;             /* of all, from before to after */
    uint32_t connected;
};

void bench_report_table(FILE *out, const struct bench_plan *plan,
                        const struct bench_result *result);
void bench_report_json(FILE *out, const struct bench_plan *plan,
                       const struct bench_result *result);

/* Was anything wrong that the delivery class does not allow? */
bool bench_report_clean(const struct bench_plan *plan, const struct bench_result *result);

#endif
