/* CPU time and memory, read from /proc. */
#include "turnload.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct procstat { int pid, ppid; unsigned long long ticks; };

static bool read_stat(int pid, struct procstat *s) {
    char path[64], buf[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0) return false;
    ssize_t n = read(fd, buf, sizeof buf - 1);
    close(fd);
    if (n <= 0) return false;
    buf[n] = 0;
    char *p = strrchr(buf, ')'); /* comm may hold spaces */
    unsigned long long ut, st;
    if (!p || sscanf(p + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                     &s->ppid, &ut, &st) != 3) return false;
    s->pid = pid; s->ticks = ut + st;
    return true;
}
double rss_kb(int pid, const char *field) {
    char path[64], line[256]; double v = 0;
    snprintf(path, sizeof path, *field == 'P' ? "/proc/%d/smaps_rollup" : "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    while (fgets(line, sizeof line, f))
        if (!strncmp(line, field, strlen(field))) { v = atof(line + strlen(field)); break; }
    fclose(f);
    return v;
}
/* CPU seconds and memory of --pid and all of its descendants */
void server_usage(double *cpu_s, double *rss, double *pss) {
    static struct procstat ps[65536];
    static bool in[65536];
    int n = 0;
    *cpu_s = 0;
    if (rss) *rss = *pss = 0;
    if (!o.pid) return;
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d)) && n < 65536;)
        if (isdigit((unsigned char)e->d_name[0]) && read_stat(atoi(e->d_name), &ps[n])) {
            in[n] = ps[n].pid == o.pid; n++;
        }
    if (d) closedir(d);
    for (bool more = true; more;) {
        more = false;
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n && !in[i]; j++)
                if (in[j] && ps[j].pid == ps[i].ppid) in[i] = more = true;
    }
    for (int i = 0; i < n; i++) if (in[i]) {
        *cpu_s += (double)ps[i].ticks / sysconf(_SC_CLK_TCK);
        if (rss) { *rss += rss_kb(ps[i].pid, "VmRSS:"); *pss += rss_kb(ps[i].pid, "Pss:"); }
    }
}

/* CPU seconds used on the whole machine, and by this process */
double machine_cpu(void) {
    unsigned long long v[8] = {0};
    FILE *f = fopen("/proc/stat", "r");
    if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6, v + 7) < 3) v[0] = 0;
    if (f) fclose(f);
    return (double)(v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / sysconf(_SC_CLK_TCK);
}
double own_cpu(void) {
    struct timespec t; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
