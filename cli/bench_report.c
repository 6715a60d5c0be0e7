/* SPDX-License-Identifier: MIT */
/* bench_report.c - the numbers that follow from what was counted, as a table and as JSON.
 *
 * Server figures are differences between two looks at it: from `before` to `after` there
 * is all that the messages cost, and nothing of connecting. */
#include "bench.h"

#include <inttypes.h>

struct figures {
    double server_cpu, user, system;
    double per_second, per_million, per_cpu_second, connect_us;
    double packet_size, message_size, acked; /* packets in for each packet out */
    int64_t lost;
    int64_t growth, per_connection; /* bytes of RSS */
};

static double over(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void figure(struct figures *f, const struct bench_result *result)
{
    const struct bench_sample *born = &result->born, *before = &result->before,
                              *after = &result->after;
    double received = (double)result->sums.received;

    f->server_cpu = after->cpu - before->cpu;
    f->user = after->user - before->user;
    f->system = after->system - before->system;
    f->per_second = over(received, result->sending_seconds);
    f->per_million = over(f->server_cpu * 1e6, received);
    f->per_cpu_second = over(received, f->server_cpu);
    f->connect_us = over((before->cpu - born->cpu) * 1e6, result->connected);
    f->packet_size = over((double)(after->bytes_out - before->bytes_out),
                          (double)(after->packets_out - before->packets_out));
    f->message_size = over((double)(after->message_bytes - before->message_bytes),
                           (double)(after->deliveries - before->deliveries));
    f->acked = over((double)(after->packets_in - before->packets_in),
                    (double)(after->packets_out - before->packets_out));
    f->lost = (int64_t)(result->sums.expected - result->sums.received);
    f->growth = (int64_t)(before->rss - born->rss);
    f->per_connection = result->connected > 0 ? f->growth / (int64_t)result->connected : 0;
}

static const char *class_name(int32_t delivery)
{
    return delivery == YOMO_LATEST       ? "latest"
           : delivery == YOMO_UNRELIABLE ? "unreliable"
                                         : "reliable";
}

static double latency_us(const struct bench_result *result, double share)
{
    return (double)bench_histogram_at(&result->sums.latency, share) / 1000;
}

static double latency_mean_us(const struct bench_result *result)
{
    return over((double)result->sums.latency.sum, (double)result->sums.latency.count) / 1000;
}

bool bench_report_clean(const struct bench_plan *plan, const struct bench_result *result)
{
    const struct bench_sums *sums = &result->sums;
    bool right = sums->damaged == 0 && sums->failures == 0 && sums->reconnects == 0 &&
                 sums->refused == 0 && result->connected == plan->connections;

    if (plan->delivery == YOMO_RELIABLE) {
        right &= sums->received == sums->expected && sums->duplicate == 0 &&
                 sums->disordered == 0 && sums->missing == 0;
    }
    return right && (plan->delivery != YOMO_LATEST || sums->disordered == 0);
}

static void print_load(FILE *out, const struct bench_plan *plan)
{
    const char *transport = yomo_options_get(plan->options, "transport");

    if (plan->idle) {
        fprintf(out, "%u idle connections over %s, in %u rooms\n", plan->connections,
                transport, plan->rooms);
        return;
    }
    fprintf(out, "%u rooms of %u over %s, %u senders each, %zu bytes, %s, ", plan->rooms,
            plan->members, transport, plan->senders, plan->size,
            class_name(plan->delivery));
    if (plan->rate > 0) {
        fprintf(out, "%g a second\n", plan->rate);
    } else {
        fputs("as fast as it goes\n", out);
    }
}

static void print_messages(FILE *out, const struct bench_result *result,
                           const struct figures *f)
{
    const struct bench_sums *sums = &result->sums;

    fprintf(out, "  deliveries a second       %12.0f\n", f->per_second);
    fprintf(out, "  latency p50               %12.0f us\n", latency_us(result, 0.5));
    fprintf(out, "          p99               %12.0f us\n", latency_us(result, 0.99));
    fprintf(out, "          p99.9             %12.0f us\n", latency_us(result, 0.999));
    fprintf(out, "          largest           %12.0f us\n", latency_us(result, 1));
    fprintf(out, "  sent                      %12" PRIu64 "\n", sums->sent);
    fprintf(out, "  received                  %12" PRIu64 " of %" PRIu64 "\n",
            sums->received, sums->expected);
    fprintf(out, "  out of order, twice       %12" PRIu64 ", %" PRIu64 "\n",
            sums->disordered, sums->duplicate);
}

static void print_server(FILE *out, const struct bench_plan *plan,
                         const struct bench_result *result, const struct figures *f)
{
    fprintf(out, "  server: CPU               %12.3f s (user %.2f, system %.2f)\n",
            f->server_cpu, f->user, f->system);
    if (!plan->idle) {
        fprintf(out, "    for a million           %12.3f s\n", f->per_million);
        fprintf(out, "    deliveries a CPU second %12.0f\n", f->per_cpu_second);
    }
    fprintf(out, "    for each connection made%12.0f us\n", f->connect_us);
    fprintf(out, "    bytes a connection      %12" PRId64 " (%.1f MiB in all)\n",
            f->per_connection, (double)f->growth / (1 << 20));
    if (f->packet_size > 0) {
        fprintf(out, "    packets out, in         %12" PRIu64 ", %" PRIu64
                     " (%.0f bytes each)\n",
                result->after.packets_out - result->before.packets_out,
                result->after.packets_in - result->before.packets_in, f->packet_size);
    }
    fprintf(out, "    given up, found lost    %12" PRIu64 ", %" PRIu64 "\n",
            result->after.dropped - result->before.dropped,
            result->after.lost - result->before.lost);
}

void bench_report_table(FILE *out, const struct bench_plan *plan,
                        const struct bench_result *result)
{
    const struct bench_sums *sums = &result->sums;
    struct figures f;

    figure(&f, result);
    print_load(out, plan);
    fprintf(out, "  connected                 %12u in %.1f s\n", result->connected,
            result->connect_seconds);
    if (!plan->idle) {
        print_messages(out, result, &f);
    }
    if (result->born.cpu > 0) {
        print_server(out, plan, result, &f);
    }
    fprintf(out, "  this program: CPU         %12.3f s, its busiest thread %.0f%%\n",
            result->own_cpu,
            over(result->busiest * 100, (double)(result->after.at - result->before.at) / 1e9));
    if (!bench_report_clean(plan, result)) {
        fprintf(out, "  NOT RIGHT: damaged %" PRIu64 ", missing %" PRIu64 ", refused %" PRIu64
                     ", connections lost %" PRIu64 ", failed %" PRIu64 " (%s)\n",
                sums->damaged, sums->missing, sums->refused, sums->reconnects,
                sums->failures, yomo_error_name(sums->error));
    }
}

static void json_plan(FILE *out, const struct bench_plan *plan)
{
    fprintf(out, "{\"transport\":\"%s\",\"idle\":%s,\"connections\":%u,\"rooms\":%u,"
                 "\"members\":%u,\"senders\":%u,\"rate\":%g,\"size\":%zu,\"class\":\"%s\","
                 "\"threads\":%u,\"workers\":%u",
            yomo_options_get(plan->options, "transport"), plan->idle ? "true" : "false",
            plan->connections, plan->rooms, plan->members, plan->senders, plan->rate,
            plan->size, class_name(plan->delivery), plan->threads, plan->workers);
}

static void json_messages(FILE *out, const struct bench_result *result,
                          const struct figures *f)
{
    const struct bench_sums *sums = &result->sums;

    fprintf(out, ",\"seconds\":%.3f,\"sent\":%" PRIu64 ",\"expected\":%" PRIu64
                 ",\"received\":%" PRIu64 ",\"lost\":%" PRId64 ",\"out_of_order\":%" PRIu64
                 ",\"duplicate\":%" PRIu64 ",\"missing\":%" PRIu64 ",\"damaged\":%" PRIu64
                 ",\"refused\":%" PRIu64,
            result->sending_seconds, sums->sent, sums->expected, sums->received, f->lost,
            sums->disordered, sums->duplicate, sums->missing, sums->damaged,
            sums->refused);
    fprintf(out, ",\"deliveries_per_second\":%.0f,\"latency_us\":{\"mean\":%.1f,"
                 "\"p50\":%.1f,\"p99\":%.1f,\"p99_9\":%.1f,\"max\":%.1f}",
            f->per_second, latency_mean_us(result), latency_us(result, 0.5),
            latency_us(result, 0.99), latency_us(result, 0.999), latency_us(result, 1));
}

static void json_server(FILE *out, const struct bench_result *result,
                        const struct figures *f)
{
    const struct bench_sample *before = &result->before, *after = &result->after;

    fprintf(out, ",\"server\":{\"cpu_seconds\":%.6f,\"user_seconds\":%.2f,"
                 "\"system_seconds\":%.2f,\"cpu_seconds_per_million\":%.4f,"
                 "\"deliveries_per_cpu_second\":%.0f,\"connect_cpu_us\":%.1f",
            f->server_cpu, f->user, f->system, f->per_million, f->per_cpu_second,
            f->connect_us);
    fprintf(out, ",\"rss_bytes\":%" PRIu64 ",\"rss_growth\":%" PRId64
                 ",\"bytes_per_connection\":%" PRId64 ",\"rss_after\":%" PRIu64,
            before->rss, f->growth, f->per_connection, after->rss);
    fprintf(out, ",\"packets_out\":%" PRIu64 ",\"packets_in\":%" PRIu64
                 ",\"packet_bytes\":%.1f,\"message_bytes\":%.1f,\"bytes_out\":%" PRIu64
                 ",\"dropped\":%" PRIu64 ",\"datagrams_lost\":%" PRIu64
                 ",\"longest_turn_us\":%" PRIu64 "}",
            after->packets_out - before->packets_out, after->packets_in - before->packets_in,
            f->packet_size, f->message_size, after->bytes_out - before->bytes_out,
            after->dropped - before->dropped, after->lost - before->lost,
            after->longest_turn_us);
}

void bench_report_json(FILE *out, const struct bench_plan *plan,
                       const struct bench_result *result)
{
    double window = (double)(result->after.at - result->before.at) / 1e9;
    struct figures f;

    figure(&f, result);
    json_plan(out, plan);
    fprintf(out, ",\"connected\":%u,\"connect_seconds\":%.3f", result->connected,
            result->connect_seconds);
    if (!plan->idle) {
        json_messages(out, result, &f);
    }
    if (result->born.cpu > 0) {
        json_server(out, result, &f);
    }
    fprintf(out, ",\"client\":{\"cpu_seconds\":%.3f,\"busiest_thread\":%.3f},"
                 "\"reconnects\":%" PRIu64 ",\"failures\":%" PRIu64 ",\"error\":\"%s\","
                 "\"clean\":%s}\n",
            result->own_cpu, over(result->busiest, window), result->sums.reconnects,
            result->sums.failures, yomo_error_name(result->sums.error),
            bench_report_clean(plan, result) ? "true" : "false");
}
