#define _GNU_SOURCE
#include "CBaseline.h"
#include "CShims.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

struct dmq_sink {
    int sender;
    int receiver;
    int checks;
    int hasThread;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t received;
    uint64_t awaited;
    uint32_t checksum;
    int ended;
};

enum { receiveByteCount = 1 << 20 };

static void *drain(void *argument) {
    dmq_sink *sink = argument;
    char *buffer = malloc(receiveByteCount);
    for (;;) {
        ssize_t count = buffer ? recv(sink->receiver, buffer, receiveByteCount, 0) : 0;
        if (count < 0 && errno == EINTR) continue;
        uint32_t checksum = sink->checks && count > 0 ? dmq_crc32c(sink->checksum, buffer, (size_t)count) : 0;
        pthread_mutex_lock(&sink->lock);
        if (count > 0) sink->received += (uint64_t)count;
        sink->checksum = checksum;
        if (count <= 0) sink->ended = 1;
        if (count <= 0 || sink->received >= sink->awaited) pthread_cond_signal(&sink->moved);
        pthread_mutex_unlock(&sink->lock);
        if (count <= 0) break;
    }
    free(buffer);
    return NULL;
}

static int set_buffers(int socket, int byteCount) {
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &byteCount, sizeof byteCount) != 0) return -1;
    return setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &byteCount, sizeof byteCount);
}

/// Connects `sender` and `receiver` over loopback.
static int connect_pair(dmq_sink *sink, int bufferByteCount) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int result = -1, yes = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sink->sender = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener < 0 || sink->sender < 0) goto end;
    // A listener passes the size of its buffers on to what it accepts.
    if (set_buffers(listener, bufferByteCount) != 0) goto end;
    if (set_buffers(sink->sender, bufferByteCount) != 0) goto end;
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) goto end;
    if (listen(listener, 1) != 0) goto end;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) goto end;
    if (connect(sink->sender, (struct sockaddr *)&address, sizeof address) != 0) goto end;
    sink->receiver = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (sink->receiver < 0) goto end;
    result = setsockopt(sink->sender, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
end:
    if (listener >= 0) close(listener);
    return result;
}

dmq_sink *dmq_sink_start(int bufferByteCount, int checks) {
    dmq_sink *sink = calloc(1, sizeof *sink);
    if (!sink) return NULL;
    sink->sender = sink->receiver = -1;
    sink->checks = checks;
    pthread_mutex_init(&sink->lock, NULL);
    pthread_cond_init(&sink->moved, NULL);
    if (connect_pair(sink, bufferByteCount) == 0 && pthread_create(&sink->thread, NULL, drain, sink) == 0) {
        sink->hasThread = 1;
        return sink;
    }
    dmq_sink_stop(sink);
    return NULL;
}

int dmq_sink_socket(const dmq_sink *sink) { return sink->sender; }

int dmq_sink_wait(dmq_sink *sink, uint64_t byteCount) {
    pthread_mutex_lock(&sink->lock);
    sink->awaited = byteCount;
    while (sink->received < byteCount && !sink->ended) pthread_cond_wait(&sink->moved, &sink->lock);
    int result = sink->received >= byteCount ? 0 : -1;
    sink->awaited = 0;
    pthread_mutex_unlock(&sink->lock);
    return result;
}

uint32_t dmq_sink_checksum(dmq_sink *sink) {
    pthread_mutex_lock(&sink->lock);
    uint32_t checksum = sink->checksum;
    pthread_mutex_unlock(&sink->lock);
    return checksum;
}

void dmq_sink_stop(dmq_sink *sink) {
    if (!sink) return;
    if (sink->sender >= 0) shutdown(sink->sender, SHUT_WR);
    if (sink->hasThread) pthread_join(sink->thread, NULL);
    if (sink->sender >= 0) close(sink->sender);
    if (sink->receiver >= 0) close(sink->receiver);
    pthread_cond_destroy(&sink->moved);
    pthread_mutex_destroy(&sink->lock);
    free(sink);
}

int dmq_send_file(int socket, int file, int64_t position, size_t byteCount) {
    off_t at = position;
    while (byteCount > 0) {
        ssize_t sent = sendfile(socket, file, &at, byteCount);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        byteCount -= (size_t)sent;
    }
    return 0;
}

int64_t dmq_baseline_send(
    int socket, int file, size_t sliceByteCount, uint64_t *latencies, int latencyCapacity) {
    off_t size = lseek(file, 0, SEEK_END);
    int64_t position = 0;
    int slices = 0;
    while (position < size) {
        size_t count = (size_t)(size - position);
        if (count > sliceByteCount) count = sliceByteCount;
        uint64_t start = dmq_nanoseconds();
        if (dmq_send_file(socket, file, position, count) != 0) return -1;
        if (slices < latencyCapacity) latencies[slices] = dmq_nanoseconds() - start;
        slices++;
        position += (int64_t)count;
    }
    return position;
}
