/* The report of a run: one flat JSON object on standard output; and the latency histogram that goes into it. */
#include "load.h"

static const char *separator;

void report_begin(const char *scenario)
{
    separator = "{";
    report_text("scenario", scenario);
}

void report_long(const char *name, long value)
{
    printf("%s\"%s\": %ld", separator, name, value);
    separator = ", ";
}

void report_double(const char *name, double value)
{
    printf("%s\"%s\": %.6f", separator, name, value);
    separator = ", ";
}

void report_text(const char *name, const char *value)
{
    printf("%s\"%s\": \"%s\"", separator, name, value);
    separator = ", ";
}

void report_usage(const struct usage *from, const struct usage *to)
{
    report_double("seconds", (double)(to->at - from->at) / 1e9);
    report_double("server_cpu", to->server_cpu - from->server_cpu);
    report_double("load_cpu", to->load_cpu - from->load_cpu);
}

void report_end(void)
{
    puts("}");
    fflush(stdout);
}

/* A bucket is 1/64 of a power of two: exact below 64 ns. */
static unsigned bucket_of(uint64_t ns)
{
    if (ns < 64)
        return (unsigned)ns;
    unsigned shift = 57u - (unsigned)__builtin_clzll(ns);
    return (shift + 1) * 64 + (unsigned)((ns >> shift) & 63);
}

static uint64_t bucket_edge(unsigned bucket)
{
    if (bucket < 64)
        return bucket;
    return (uint64_t)(64 + bucket % 64 + 1) << (bucket / 64 - 1);
}

void hist_add(struct hist *h, uint64_t ns)
{
    h->total++;
    h->bucket[bucket_of(ns)]++;
    if (ns > h->max)
        h->max = ns;
}

double hist_ms(const struct hist *h, double quantile)
{
    uint64_t want = (uint64_t)(quantile * (double)h->total), sum = 0;
    for (unsigned i = 0; i < 64 * 64; i++)
        if ((sum += h->bucket[i]) > want)
            return (double)(bucket_edge(i) < h->max ? bucket_edge(i) : h->max) / 1e6;
    return (double)h->max / 1e6;
}

void report_hist(const struct hist *h)
{
    report_double("latency_ms_p50", hist_ms(h, 0.50));
    report_double("latency_ms_p90", hist_ms(h, 0.90));
    report_double("latency_ms_p99", hist_ms(h, 0.99));
    report_double("latency_ms_max", (double)h->max / 1e6);
}
