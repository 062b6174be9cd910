/* What the measured server uses: CPU time and resident memory of its processes, read from the kernel.
 *
 * CPU is the process clock (clock_getcpuclockid): utime + stime of all threads, dead ones included, in nanoseconds;
 * /proc/PID/stat shows the same sum in ticks of 10 ms and serves where the clock is refused. */
#include "load.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 256

struct process {
    pid_t pid, parent;
    double ticks; /* seconds, from stat */
    bool ours;
};

static bool read_stat(pid_t pid, struct process *p)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = 0;
    /* the command name may hold spaces and parentheses: fields are counted from the last one */
    char *rest = strrchr(line, ')');
    unsigned long utime, stime;
    int parent;
    if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &parent, &utime, &stime) != 3)
        return false;
    *p = (struct process){.pid = pid, .parent = parent,
        .ticks = (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK), .ours = pid == opt.server_pid};
    return true;
}

static int server_processes(struct process *out)
{
    static struct process all[4096];
    int n = 0, found = 0;
    DIR *dir = opendir("/proc");
    if (!dir)
        die("cannot read /proc");
    for (struct dirent *e; (e = readdir(dir)) && n < 4096;)
        if (isdigit((unsigned char)e->d_name[0]) && read_stat((pid_t)atoi(e->d_name), &all[n]))
            n++;
    closedir(dir);
    for (bool grew = true; grew;) {
        grew = false;
        for (int i = 0; i < n; i++)
            for (int k = 0; k < n && !all[i].ours; k++)
                if (all[k].ours && all[i].parent == all[k].pid)
                    all[i].ours = grew = true;
    }
    for (int i = 0; i < n && found < MAX_PROCESSES; i++)
        if (all[i].ours)
            out[found++] = all[i];
    return found;
}

static double process_cpu(const struct process *p)
{
    clockid_t clock;
    struct timespec t;
    if (clock_getcpuclockid(p->pid, &clock) == 0 && clock_gettime(clock, &t) == 0)
        return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    return p->ticks;
}

void usage_read(struct usage *usage_out)
{
    struct timespec own;
    *usage_out = (struct usage){0};
    if (opt.server_pid) {
        struct process list[MAX_PROCESSES];
        int n = server_processes(list);
        if (n == 0)
            die("the server (process %d) is gone", (int)opt.server_pid);
        for (int i = 0; i < n; i++)
            usage_out->server_cpu += process_cpu(&list[i]);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    usage_out->load_cpu = (double)own.tv_sec + (double)own.tv_nsec / 1e9;
    usage_out->at = now_ns();
}

#define QUIET_NS 1200000000u /* longer than servers put off what nobody waits for */
#define QUIET_CPU 0.02 /* seconds in that time: what schedulers and timers need that have nothing to do */

void usage_read_quiet(struct usage *usage_out)
{
    const bool never = false;
    struct usage later;
    usage_read(usage_out);
    for (int i = 0; i < 100 && opt.server_pid; i++) {
        loop_until(&never, now_ns() + QUIET_NS);
        usage_read(&later);
        bool quiet = later.server_cpu - usage_out->server_cpu < QUIET_CPU;
        *usage_out = later;
        if (quiet)
            return;
    }
}

static uint64_t process_rss(pid_t pid)
{
    char path[64], line[256];
    unsigned long kb = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    const char *key = "Rss: %lu kB";
    if (!f) {
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        f = fopen(path, "re");
        key = "VmRSS: %lu kB";
    }
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f) && sscanf(line, key, &kb) != 1)
        continue;
    fclose(f);
    return (uint64_t)kb * 1024;
}

uint64_t server_rss(void)
{
    uint64_t sum = 0;
    struct process list[MAX_PROCESSES];
    if (!opt.server_pid)
        return 0;
    int n = server_processes(list);
    for (int i = 0; i < n; i++)
        sum += process_rss(list[i].pid);
    return sum;
}
