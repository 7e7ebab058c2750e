#define _GNU_SOURCE
#include "load.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { headByteCount = sizeByteCount + fetchAnswerHeadByteCount, maximumFetch = 1 << 20, eventLimit = 512 };

typedef struct {
    int socket;
    int isConsumer;
    /// Of a consumer.
    fetch_request request;
    /// Of a producer.
    const frame *frame;
    uint64_t since;
    /// Of an answer, or of what an answer has before its records.
    size_t received;
    unsigned char bytes[headByteCount];
    /// Of an answer's records, and how many of them are still to come.
    uint64_t length;
    uint64_t left;
} member;

struct dmq_crowd {
    int poll;
    int error;
    uint64_t batchByteCount;
    uint64_t batchRecordCount;
    uint64_t toSend;
    uint64_t answered;
    uint64_t delivered;
    uint64_t *latencies;
    int producerCount;
    int memberCount;
    frame frames[partitionLimit];
    unsigned char discarded[discardByteCount];
    member members[];
};

static int join(dmq_crowd *crowd, int port, int partition, int isConsumer) {
    member *new = &crowd->members[crowd->memberCount];
    new->socket = dmq_connect(port);
    if (new->socket < 0) return -1;
    crowd->memberCount++;
    new->isConsumer = isConsumer;
    new->frame = &crowd->frames[partition];
    new->request.partition = (uint32_t)partition;
    new->request.maximumByteCount = maximumFetch;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = new};
    if (epoll_ctl(crowd->poll, EPOLL_CTL_ADD, new->socket, &event) != 0) return -1;
    return isConsumer ? dmq_send_fetch(new->socket, &new->request) : 0;
}

dmq_crowd *dmq_crowd_gather(
    const dmq_load *load, int port, int producerCount, int consumerCount, uint64_t batchByteCount,
    uint64_t batchRecordCount) {
    int count = producerCount + consumerCount;
    dmq_crowd *crowd = calloc(1, sizeof *crowd + (size_t)count * sizeof(member));
    if (!crowd || load->frameCount == 0) return NULL;
    crowd->poll = epoll_create1(EPOLL_CLOEXEC);
    crowd->batchByteCount = batchByteCount;
    crowd->batchRecordCount = batchRecordCount;
    crowd->producerCount = producerCount;
    for (int number = 0; number < load->frameCount; number++) {
        frame frame = load->frames[number];
        crowd->frames[number].bytes = malloc(frame.byteCount);
        crowd->frames[number].byteCount = frame.byteCount;
        if (crowd->frames[number].bytes) memcpy(crowd->frames[number].bytes, frame.bytes, frame.byteCount);
    }
    for (int number = 0; number < count; number++) {
        if (join(crowd, port, number % load->frameCount, number >= producerCount) != 0) {
            dmq_crowd_disperse(crowd);
            return NULL;
        }
    }
    return crowd;
}

void dmq_crowd_disperse(dmq_crowd *crowd) {
    if (!crowd) return;
    for (int number = 0; number < crowd->memberCount; number++) close(crowd->members[number].socket);
    for (int number = 0; number < partitionLimit; number++) free(crowd->frames[number].bytes);
    close(crowd->poll);
    free(crowd);
}

int dmq_crowd_error(const dmq_crowd *crowd) { return crowd->error; }

/// Receives what is there. Returns the number of bytes, 0 when nothing is, -1 on failure.
static ssize_t receive_some(int socket, void *bytes, size_t byteCount, int flags) {
    ssize_t count = recv(socket, bytes, byteCount, flags | MSG_DONTWAIT);
    if (count == 0) errno = ECONNRESET;
    if (count > 0) return count;
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static int send_next(dmq_crowd *crowd, member *producer) {
    if (crowd->toSend == 0) return 0;
    crowd->toSend--;
    producer->since = dmq_nanoseconds();
    return dmq_send_all(producer->socket, producer->frame->bytes, producer->frame->byteCount, 0);
}

static int serve_producer(dmq_crowd *crowd, member *producer) {
    size_t whole = sizeByteCount + produceAnswerByteCount;
    ssize_t count = receive_some(
        producer->socket, producer->bytes + producer->received, whole - producer->received, 0);
    if (count < 0) return -1;
    producer->received += (size_t)count;
    if (producer->received < whole) return 0;
    const unsigned char *answer = producer->bytes + sizeByteCount;
    crowd->error = (int16_t)get16(answer + produceAnswerErrorAt);
    errno = EPROTO;
    if (get32(producer->bytes) != produceAnswerByteCount || crowd->error != 0) return -1;
    if (crowd->latencies) crowd->latencies[crowd->answered] = dmq_nanoseconds() - producer->since;
    crowd->answered++;
    producer->received = 0;
    return send_next(crowd, producer);
}

/// Receives some of an answer; once it is whole, asks for what follows.
static int serve_consumer(dmq_crowd *crowd, member *consumer) {
    if (consumer->received < headByteCount) {
        ssize_t count = receive_some(
            consumer->socket, consumer->bytes + consumer->received, headByteCount - consumer->received, 0);
        if (count < 0) return -1;
        consumer->received += (size_t)count;
        if (consumer->received < headByteCount) return 0;
        int64_t length = dmq_fetched_length(consumer->bytes, &consumer->request, &crowd->error);
        if (length < 0) return -1;
        consumer->length = consumer->left = (uint64_t)length;
    }
    while (consumer->left > 0) {
        size_t next = consumer->left < discardByteCount ? consumer->left : discardByteCount;
        ssize_t count = receive_some(consumer->socket, crowd->discarded, next, MSG_TRUNC);
        if (count <= 0) return (int)count;
        consumer->left -= (uint64_t)count;
    }
    uint64_t records = consumer->length / crowd->batchByteCount * crowd->batchRecordCount;
    consumer->received = 0;
    consumer->request.correlation++;
    consumer->request.offset += records;
    crowd->delivered += records;
    return dmq_send_fetch(consumer->socket, &consumer->request);
}

int dmq_crowd_produce(dmq_crowd *crowd, uint64_t count, uint64_t *latencies, uint64_t *delivered) {
    struct epoll_event events[eventLimit];
    crowd->toSend = count;
    crowd->answered = crowd->delivered = 0;
    crowd->latencies = latencies;
    for (int number = 0; number < crowd->producerCount; number++) {
        if (send_next(crowd, &crowd->members[number]) != 0) return -1;
    }
    while (crowd->answered < count) {
        int ready = epoll_wait(crowd->poll, events, eventLimit, 60000);
        if (ready == 0) errno = ETIMEDOUT;
        if (ready == 0 || (ready < 0 && errno != EINTR)) return -1;
        for (int number = 0; number < ready; number++) {
            member *member = events[number].data.ptr;
            int result = member->isConsumer ? serve_consumer(crowd, member) : serve_producer(crowd, member);
            if (result != 0) return -1;
        }
    }
    *delivered = crowd->delivered;
    return 0;
}
