#define _GNU_SOURCE
#include "CBaseline.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { argumentLimit = 64, outputRoom = 4096 };

struct dmq_child {
    pid_t pid;
    int output;
};

/// Becomes the program; only calls that a child of a process with threads may make.
static _Noreturn void become(char *const list[], int output, pid_t parent) {
    sigset_t signals;
    int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
    // A thread may have blocked signals, which the child is to get.
    sigemptyset(&signals);
    sigprocmask(SIG_SETMASK, &signals, NULL);
    // Nobody else would end it when the benchmark is killed.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent && dup2(input, 0) >= 0 && dup2(output, 1) >= 0) execve(list[0], list, environ);
    _exit(127);
}

dmq_child *dmq_child_start(const char *arguments) {
    dmq_child *child = calloc(1, sizeof *child);
    char *text = strdup(arguments), *rest = text, *list[argumentLimit + 1];
    int count = 0, ends[2] = {-1, -1};
    pid_t parent = getpid();
    while (rest && count < argumentLimit) list[count++] = strsep(&rest, "\n");
    list[count] = NULL;
    if (child && text && pipe2(ends, O_CLOEXEC) == 0) {
        child->output = ends[0];
        child->pid = fork();
        if (child->pid == 0) become(list, ends[1], parent);
        if (child->pid > 0) {
            close(ends[1]);
            free(text);
            return child;
        }
        close(ends[0]);
        close(ends[1]);
    }
    free(text);
    free(child);
    return NULL;
}

int dmq_child_pid(const dmq_child *child) { return child->pid; }

int dmq_child_port(dmq_child *child) {
    char text[outputRoom];
    size_t count = 0;
    while (count + 1 < sizeof text) {
        ssize_t more = read(child->output, text + count, sizeof text - 1 - count);
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) return -1;
        count += (size_t)more;
        text[count] = 0;
        int port = 0, length = 0;
        const char *address = strstr(text, "127.0.0.1:");
        // With something behind it the number is whole.
        if (address && sscanf(address, "127.0.0.1:%d%n", &port, &length) == 1 && address[length]) return port;
    }
    return -1;
}

int dmq_child_wait(dmq_child *child) {
    char text[outputRoom];
    int status = 0;
    ssize_t count;
    while ((count = read(child->output, text, sizeof text)) > 0 || (count < 0 && errno == EINTR)) {}
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {}
    close(child->output);
    free(child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int dmq_child_end(dmq_child *child, int isForced) {
    kill(child->pid, isForced ? SIGKILL : SIGTERM);
    return dmq_child_wait(child);
}

int dmq_child_time(const dmq_child *child, dmq_processor_time *time) {
    char path[64], text[1024];
    unsigned long long user = 0, system = 0;
    clockid_t clock;
    struct timespec total;
    memset(time, 0, sizeof *time);
    if (clock_getcpuclockid(child->pid, &clock) != 0 || clock_gettime(clock, &total) != 0) return -1;
    snprintf(path, sizeof path, "/proc/%d/stat", child->pid);
    FILE *file = fopen(path, "r");
    size_t count = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file) fclose(file);
    text[count] = 0;
    const char *end = strrchr(text, ')');
    const char *format = ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu";
    if (!end || sscanf(end, format, &user, &system) != 2) return -1;
    uint64_t tick = 1000000000u / (uint64_t)sysconf(_SC_CLK_TCK);
    time->total = (uint64_t)total.tv_sec * 1000000000u + (uint64_t)total.tv_nsec;
    time->user = user * tick;
    time->system = system * tick;
    return 0;
}

int64_t dmq_child_memory(const dmq_child *child) {
    char path[64], line[128];
    long long kibibytes = -1;
    snprintf(path, sizeof path, "/proc/%d/status", child->pid);
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    while (fgets(line, sizeof line, file)) {
        if (sscanf(line, "VmRSS: %lld kB", &kibibytes) == 1) break;
    }
    fclose(file);
    return kibibytes < 0 ? -1 : kibibytes * 1024;
}

int dmq_child_descriptors(const dmq_child *child) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", child->pid);
    DIR *directory = opendir(path);
    if (!directory) return -1;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

const char *dmq_own_path(void) {
    static char path[4096];
    ssize_t count = readlink("/proc/self/exe", path, sizeof path - 1);
    path[count > 0 ? count : 0] = 0;
    return path;
}
