#define _GNU_SOURCE
#include "CBaseline.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static uint64_t nanoseconds(struct timeval time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

static dmq_processor_time processor_time(int who) {
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    getrusage(who, &usage);
    dmq_processor_time time = {
        .user = nanoseconds(usage.ru_utime),
        .system = nanoseconds(usage.ru_stime),
        .involuntarySwitches = (uint64_t)usage.ru_nivcsw,
    };
    time.total = time.user + time.system;
    return time;
}

dmq_processor_time dmq_process_time(void) { return processor_time(RUSAGE_SELF); }

dmq_processor_time dmq_thread_time(void) { return processor_time(RUSAGE_THREAD); }

uint64_t dmq_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int dmq_touch_memory(size_t byteCount) {
    if (byteCount == 0) return 0;
    char *memory = mmap(NULL, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return -1;
    // Page by page, as the page cache will take them.
    madvise(memory, byteCount, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < byteCount; at += 4096) memory[at] = 1;
    return munmap(memory, byteCount);
}

uint64_t dmq_available_memory(void) {
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file) return 0;
    char line[128];
    unsigned long long kibibytes = 0;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "MemAvailable: %llu kB", &kibibytes) == 1) break;
    }
    fclose(file);
    return (uint64_t)kibibytes * 1024;
}

double dmq_load_average(void) {
    double average = 0;
    return getloadavg(&average, 1) == 1 ? average : 0;
}

int dmq_shows_progress(void) { return isatty(STDERR_FILENO); }

void dmq_show(const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(STDERR_FILENO, text, left);
        if (written <= 0) return;
        text += written;
        left -= (size_t)written;
    }
}

const char *dmq_error_text(void) { return strerror(errno); }

void dmq_flush_output(void) { fflush(stdout); }

void dmq_nap(uint64_t nanoseconds) {
    struct timespec left = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

_Noreturn void dmq_exit(int status) { exit(status); }

void dmq_raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}
