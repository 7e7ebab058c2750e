#define _GNU_SOURCE
#include "CBaseline.h"
#include "CShims.h"
#include "frames.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// Fields of a record batch, version 2.
enum { crcAt = 17, checksummedFrom = 21, lastOffsetDeltaAt = 23, batchHeaderByteCount = 61 };

enum { receiveByteCount = 4 << 20, answersByteCount = 64 << 10, eventLimit = 512, parkedLimit = 1024 };

/// Blocks are had ahead of what is written, so that a sync finds the file's attributes as they were.
enum { allocationStep = 16 << 20 };

/// The file of a partition. All its batches are alike, so that an offset says where its batch stands.
typedef struct {
    int file;
    int isDirty;
    /// A thread that syncs the file when it is told to, and what came of it: a disk takes several syncs at
    /// once in hardly more time than one.
    pthread_t thread;
    sem_t wanted;
    sem_t done;
    int result;
    int64_t position;
    int64_t allocated;
    int64_t offset;
    int64_t batchByteCount;
    int64_t batchRecordCount;
} ceiling_log;

typedef struct {
    int socket;
    /// Something went wrong, or the other side has gone.
    int isDone;
    int isParked;
    size_t received;
    size_t answered;
    unsigned char *bytes;
    unsigned char fetch[fetchByteCount];
    unsigned char answers[answersByteCount];
} peer;

typedef struct {
    int directory;
    int syncs;
    ceiling_log logs[partitionLimit];
    /// Who waits for records behind the end of a partition.
    peer *parked[parkedLimit];
    int parkedCount;
} ceiling;

static void *sync_when_told(void *argument) {
    ceiling_log *log = argument;
    for (;;) {
        while (sem_wait(&log->wanted) != 0) {}
        log->result = fdatasync(log->file);
        sem_post(&log->done);
    }
}

static ceiling_log *log_of(ceiling *server, uint32_t partition) {
    if (partition >= partitionLimit) return NULL;
    ceiling_log *log = &server->logs[partition];
    if (log->file < 0) {
        char name[32];
        snprintf(name, sizeof name, "%u.log", partition);
        log->file = openat(server->directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        sem_init(&log->wanted, 0, 0);
        sem_init(&log->done, 0, 0);
        if (server->syncs && pthread_create(&log->thread, NULL, sync_when_told, log) != 0) return NULL;
    }
    return log->file < 0 ? NULL : log;
}

/// Checks a batch and appends it; its answer waits until the turn's end, when it is synced where asked.
static int take_produce(ceiling *server, peer *peer, unsigned char *frame, size_t byteCount) {
    if (byteCount < produceLengthAt + batchHeaderByteCount + produceTailByteCount) return -1;
    uint32_t partition = get32(frame + producePartitionAt);
    size_t length = 0, at = produceLengthAt;
    for (int shift = 0; shift < 28; shift += 7) {
        length |= (size_t)(frame[at] & 0x7F) << shift;
        if (frame[at++] < 0x80) break;
    }
    length--;
    if (length < batchHeaderByteCount || at + length + produceTailByteCount != byteCount) return -1;
    ceiling_log *log = log_of(server, partition);
    unsigned char *batch = frame + at;
    uint32_t crc = dmq_crc32c(0, batch + checksummedFrom, length - checksummedFrom);
    if (!log || crc != get32(batch + crcAt)) return -1;
    if (log->position + (int64_t)length > log->allocated) {
        if (fallocate(log->file, 0, log->allocated, allocationStep) != 0) return -1;
        log->allocated += allocationStep;
    }
    int64_t base = log->offset;
    put64(batch, (uint64_t)base);
    for (size_t done = 0; done < length;) {
        ssize_t written = pwrite(log->file, batch + done, length - done, log->position + (int64_t)done);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return -1;
        done += (size_t)written;
    }
    log->position += (int64_t)length;
    log->batchByteCount = (int64_t)length;
    log->batchRecordCount = (int64_t)get32(batch + lastOffsetDeltaAt) + 1;
    log->offset += log->batchRecordCount;
    log->isDirty = 1;
    unsigned char *to = peer->answers + peer->answered;
    to = put32(to, produceAnswerByteCount);
    to = put_bytes(to, frame + correlationAt, 4);
    to = put_bytes(to, (unsigned char[]){0, 2, nameByteCount + 1}, 3);
    to = put_bytes(to, topicName, nameByteCount);
    *to++ = 2;
    to = put32(to, partition);
    to = put16(to, 0);
    to = put64(to, (uint64_t)base);
    to = put64(to, UINT64_MAX);
    to = put64(to, 0);
    to = put_bytes(to, (unsigned char[]){1, 0, 0, 0}, 4);
    to = put32(to, 0);
    *to++ = 0;
    peer->answered = (size_t)(to - peer->answers);
    return 0;
}

/// Answers with whole batches by sendfile. Returns 1 when there are none yet, -1 on failure.
static int answer_fetch(ceiling *server, peer *peer, const unsigned char *frame) {
    uint32_t partition = get32(frame + fetchPartitionAt);
    ceiling_log *log = log_of(server, partition);
    int64_t offset = (int64_t)get64(frame + fetchOffsetAt);
    if (!log || offset < 0 || offset > log->offset) return -1;
    if (offset == log->offset) return 1;
    int64_t position = offset / log->batchRecordCount * log->batchByteCount;
    int64_t length = (int64_t)get32(frame + fetchMaximumAt);
    if (length > log->position - position) length = log->position - position;
    length -= length % log->batchByteCount;
    unsigned char head[sizeByteCount + fetchAnswerHeadByteCount];
    unsigned char *to = put32(head, (uint32_t)(fetchAnswerHeadByteCount + length));
    to = put_bytes(to, frame + correlationAt, 4);
    to = put32(to, 0);
    to = put16(to, 0);
    to = put32(to, 0);
    to = put32(to, 1);
    to = put16(to, nameByteCount);
    to = put_bytes(to, topicName, nameByteCount);
    to = put32(to, 1);
    to = put32(to, partition);
    to = put16(to, 0);
    to = put64(to, (uint64_t)log->offset);
    to = put64(to, (uint64_t)log->offset);
    to = put64(to, 0);
    to = put32(to, UINT32_MAX);
    to = put32(to, UINT32_MAX);
    put32(to, (uint32_t)length);
    if (dmq_send_all(peer->socket, head, sizeof head, MSG_MORE) != 0) return -1;
    return dmq_send_file(peer->socket, log->file, position, (size_t)length);
}

/// Answers now, or when there is something to answer with.
static int take_fetch(ceiling *server, peer *peer, const unsigned char *frame, size_t byteCount) {
    if (byteCount != fetchByteCount) return -1;
    int result = answer_fetch(server, peer, frame);
    if (result != 1) return result;
    if (peer->isParked || server->parkedCount == parkedLimit) return -1;
    memcpy(peer->fetch, frame, fetchByteCount);
    peer->isParked = 1;
    server->parked[server->parkedCount++] = peer;
    return 0;
}

static int take(ceiling *server, peer *peer, unsigned char *frame, size_t byteCount) {
    uint16_t key = byteCount < fetchAnswerErrorAt ? UINT16_MAX : get16(frame + apiKeyAt);
    if (key == fetchKey) return take_fetch(server, peer, frame, byteCount);
    if (peer->answered + sizeByteCount + produceAnswerByteCount > answersByteCount) return -1;
    if (key == produceKey) return take_produce(server, peer, frame, byteCount);
    if (key != metadataKey) return -1;
    unsigned char *to = put32(peer->answers + peer->answered, 4);
    peer->answered = (size_t)(put_bytes(to, frame + correlationAt, 4) - peer->answers);
    return 0;
}

/// Receives once and does what has come whole. Returns -1 when the peer is done with.
static int serve_peer(ceiling *server, peer *peer) {
    ssize_t count = recv(peer->socket, peer->bytes + peer->received, receiveByteCount - peer->received, 0);
    if (count <= 0) return count < 0 && errno == EINTR ? 0 : -1;
    peer->received += (size_t)count;
    size_t used = 0;
    while (peer->received - used >= sizeByteCount) {
        size_t byteCount = get32(peer->bytes + used);
        if (byteCount > receiveByteCount - sizeByteCount) return -1;
        if (peer->received - used < sizeByteCount + byteCount) break;
        if (take(server, peer, peer->bytes + used + sizeByteCount, byteCount) != 0) return -1;
        used += sizeByteCount + byteCount;
    }
    peer->received -= used;
    if (peer->received > 0 && used > 0) memmove(peer->bytes, peer->bytes + used, peer->received);
    return 0;
}

/// Syncs what was written, all files at once.
static int sync_logs(ceiling *server) {
    int result = 0;
    for (int number = 0; server->syncs && number < partitionLimit; number++) {
        if (server->logs[number].isDirty) sem_post(&server->logs[number].wanted);
    }
    for (int number = 0; server->syncs && number < partitionLimit; number++) {
        ceiling_log *log = &server->logs[number];
        if (!log->isDirty) continue;
        while (sem_wait(&log->done) != 0) {}
        if (log->result != 0) result = -1;
        log->isDirty = 0;
    }
    return result;
}

/// Those for whom something has come by now get it.
static void answer_parked(ceiling *server) {
    int kept = 0;
    for (int number = 0; number < server->parkedCount; number++) {
        peer *peer = server->parked[number];
        int result = peer->isDone ? -1 : answer_fetch(server, peer, peer->fetch);
        if (result < 0) peer->isDone = 1;
        peer->isParked = result == 1;
        if (peer->isParked) server->parked[kept++] = peer;
    }
    server->parkedCount = kept;
}

static int accept_peer(int poll, int listener) {
    int yes = 1, socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    peer *new = socket < 0 ? NULL : calloc(1, sizeof *new);
    if (!new || !(new->bytes = malloc(receiveByteCount))) return -1;
    new->socket = socket;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = new};
    return epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
}

static void remove_peer(peer *peer) {
    close(peer->socket);
    free(peer->bytes);
    free(peer);
}

/// Does what has come for all peers, then syncs, then answers.
static int serve_turn(ceiling *server, int poll, int listener) {
    struct epoll_event events[eventLimit];
    int count = epoll_wait(poll, events, eventLimit, -1);
    if (count < 0 && errno != EINTR) return -1;
    for (int number = 0; number < count; number++) {
        peer *peer = events[number].data.ptr;
        if (!peer && accept_peer(poll, listener) != 0) return -1;
        if (peer && serve_peer(server, peer) != 0) peer->isDone = 1;
    }
    if (sync_logs(server) != 0) return -1;
    for (int number = 0; number < count; number++) {
        peer *peer = events[number].data.ptr;
        if (!peer || peer->answered == 0) continue;
        if (dmq_send_all(peer->socket, peer->answers, peer->answered, 0) != 0) peer->isDone = 1;
        peer->answered = 0;
    }
    answer_parked(server);
    // One that was parked and failed has an event of its own in the next turn.
    for (int number = 0; number < count; number++) {
        peer *peer = events[number].data.ptr;
        if (peer && peer->isDone) remove_peer(peer);
    }
    return 0;
}

int dmq_ceiling_serve(const char *path, int syncs) {
    static ceiling server;
    server.syncs = syncs;
    server.directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int number = 0; number < partitionLimit; number++) server.logs[number].file = -1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (server.directory < 0 || poll < 0 || listener < 0) return -1;
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1024) != 0) return -1;
    if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) return -1;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) != 0) return -1;
    printf("127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    while (serve_turn(&server, poll, listener) == 0) {}
    return -1;
}
