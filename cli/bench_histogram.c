/* SPDX-License-Identifier: MIT */
/* bench_histogram.c - values below 32 have a bucket each; from there on each power of two
 * is cut into 32. */
#include "bench.h"

#define STEPS 32
#define STEP_BITS 5

static size_t bucket_of(uint64_t value)
{
    unsigned power;

    if (value < STEPS) {
        return (size_t)value;
    }
    power = 63 - (unsigned)__builtin_clzll(value);
    return (power - STEP_BITS + 1) * STEPS + ((value >> (power - STEP_BITS)) & (STEPS - 1));
}

/* The largest value of a bucket. */
static uint64_t top_of(size_t bucket)
{
    size_t power = bucket / STEPS;

    if (power == 0) {
        return bucket;
    }
    return ((STEPS + bucket % STEPS + 1) << (power - 1)) - 1;
}

void bench_histogram_add(struct bench_histogram *histogram, uint64_t value)
{
    histogram->count++;
    histogram->sum += value;
    histogram->buckets[bucket_of(value)]++;
    if (value > histogram->max) {
        histogram->max = value;
    }
}

void bench_histogram_merge(struct bench_histogram *into, const struct bench_histogram *from)
{
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max) {
        into->max = from->max;
    }
    for (size_t i = 0; i < BENCH_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

uint64_t bench_histogram_at(const struct bench_histogram *histogram, double share)
{
    double wanted = share * (double)histogram->count;
    uint64_t seen = 0;

    for (size_t i = 0; i < BENCH_BUCKETS && histogram->count > 0; i++) {
        seen += histogram->buckets[i];
        if ((double)seen >= wanted && histogram->buckets[i] > 0) {
            return top_of(i) < histogram->max ? top_of(i) : histogram->max;
        }
    }
    return histogram->max;
}
