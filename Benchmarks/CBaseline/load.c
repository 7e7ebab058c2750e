#define _GNU_SOURCE
#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { inFlightLimit = 256, answerSeconds = 60 };

int dmq_send_all(int socket, const void *bytes, size_t byteCount, int flags) {
    for (size_t done = 0; done < byteCount;) {
        ssize_t sent = send(socket, (const char *)bytes + done, byteCount - done, flags | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return -1;
        done += (size_t)sent;
    }
    return 0;
}

/// - Parameter flags: MSG_TRUNC throws away what is received, without copying it.
static int receive_all(int socket, void *bytes, size_t byteCount, int flags) {
    for (size_t done = 0; done < byteCount;) {
        ssize_t count = recv(socket, (char *)bytes + done, byteCount - done, flags);
        if (count < 0 && errno == EINTR) continue;
        if (count == 0) errno = ECONNRESET;
        if (count <= 0) return -1;
        done += (size_t)count;
    }
    return 0;
}

int dmq_receive_all(int socket, void *bytes, size_t byteCount) {
    return receive_all(socket, bytes, byteCount, 0);
}

int dmq_connect(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = answerSeconds};
    int yes = 1, new = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (new >= 0 && connect(new, (struct sockaddr *)&address, sizeof address) == 0 &&
        setsockopt(new, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) == 0 &&
        setsockopt(new, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(new, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0) {
        return new;
    }
    if (new >= 0) close(new);
    return -1;
}

dmq_load *dmq_load_connect(int port) {
    dmq_load *load = calloc(1, sizeof *load);
    if (!load) return NULL;
    load->socket = dmq_connect(port);
    if (load->socket >= 0) return load;
    free(load);
    return NULL;
}

void dmq_load_close(dmq_load *load) {
    if (!load) return;
    for (int number = 0; number < load->frameCount; number++) free(load->frames[number].bytes);
    close(load->socket);
    free(load);
}

int dmq_load_error(const dmq_load *load) { return load->error; }

static unsigned char *put_head(unsigned char *to, uint16_t key, uint16_t version) {
    to = put16(put16(to, key), version);
    return put_bytes(put16(put32(to, 0), nameByteCount), clientName, nameByteCount);
}

int dmq_load_add(dmq_load *load, const void *batch, size_t byteCount) {
    size_t room = sizeByteCount + produceLengthAt + 5 + byteCount + produceTailByteCount;
    if (load->frameCount == loadLimit) return -1;
    unsigned char *bytes = malloc(room);
    if (!bytes) return -1;
    unsigned char *to = put_head(bytes + sizeByteCount, produceKey, produceVersion);
    // No tagged fields, no transaction; the acknowledgement of all replicas, within 30 seconds.
    to = put16(put_bytes(to, (unsigned char[]){0, 0}, 2), UINT16_MAX);
    to = put_bytes(put32(to, 30000), (unsigned char[]){2, nameByteCount + 1}, 2);
    to = put_bytes(to, topicName, nameByteCount);
    *to++ = 2;
    to = put32(to, (uint32_t)load->frameCount);
    size_t length = byteCount + 1;
    for (; length >= 0x80; length >>= 7) *to++ = (unsigned char)(length | 0x80);
    *to++ = (unsigned char)length;
    to = put_bytes(to, batch, byteCount);
    to = put_bytes(to, (unsigned char[produceTailByteCount]){0}, produceTailByteCount);
    put32(bytes, (uint32_t)(to - bytes - sizeByteCount));
    load->frames[load->frameCount++] = (frame){bytes, (size_t)(to - bytes)};
    return 0;
}

// MARK: Producing

/// Takes the answers that have come. Returns how many, -1 on failure.
static int take_answers(dmq_load *load, uint32_t next) {
    ssize_t count = recv(load->socket, load->answers + load->received, answerRoom - load->received, 0);
    if (count < 0 && errno == EINTR) return 0;
    if (count == 0) errno = ECONNRESET;
    if (count <= 0) return -1;
    load->received += (size_t)count;
    size_t used = 0;
    int taken = 0;
    errno = EPROTO;
    while (load->received - used >= sizeByteCount) {
        size_t byteCount = get32(load->answers + used);
        const unsigned char *answer = load->answers + used + sizeByteCount;
        if (byteCount < produceAnswerErrorAt + 2 || byteCount > answerRoom - sizeByteCount) return -1;
        if (load->received - used < sizeByteCount + byteCount) break;
        if (get32(answer) != next + (uint32_t)taken) return -1;
        load->error = (int16_t)get16(answer + produceAnswerErrorAt);
        if (load->error != 0) return -1;
        taken++;
        used += sizeByteCount + byteCount;
    }
    load->received -= used;
    memmove(load->answers, load->answers + used, load->received);
    return taken;
}

/// Waits until something has come or it is time. Returns 0 when it is time.
static int wait_until(int socket, uint64_t moment) {
    uint64_t now = dmq_nanoseconds();
    uint64_t left = moment > now ? moment - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
    struct pollfd entry = {.fd = socket, .events = POLLIN};
    return ppoll(&entry, 1, &timeout, NULL) > 0;
}

int dmq_load_produce(dmq_load *load, uint64_t count, int inFlight, uint64_t interval, uint64_t *latencies) {
    uint64_t started[inFlightLimit];
    uint64_t sent = 0, answered = 0, start = dmq_nanoseconds();
    uint32_t first = load->correlation;
    load->error = 0;
    if (inFlight < 1 || inFlight > inFlightLimit || load->frameCount == 0) {
        errno = EINVAL;
        return -1;
    }
    // Without it the kernel may wake a thread 50 microseconds late.
    if (interval) prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    while (answered < count) {
        int maySend = sent < count && sent - answered < (uint64_t)inFlight;
        uint64_t due = interval ? start + sent * interval : 0;
        if (maySend && (!interval || due <= dmq_nanoseconds())) {
            frame frame = load->frames[sent % (uint64_t)load->frameCount];
            put32(frame.bytes + sizeByteCount + correlationAt, load->correlation++);
            started[sent++ % inFlightLimit] = interval ? due : dmq_nanoseconds();
            if (dmq_send_all(load->socket, frame.bytes, frame.byteCount, 0) != 0) return -1;
            continue;
        }
        if (maySend && wait_until(load->socket, due) == 0) continue;
        int taken = take_answers(load, first + (uint32_t)answered);
        if (taken < 0) return -1;
        uint64_t now = dmq_nanoseconds();
        for (; taken > 0; taken--, answered++) {
            if (latencies) latencies[answered] = now - started[answered % inFlightLimit];
        }
    }
    return 0;
}

// MARK: Fetching

int dmq_send_fetch(int socket, const fetch_request *request) {
    unsigned char bytes[sizeByteCount + fetchByteCount];
    unsigned char *to = put_head(put32(bytes, fetchByteCount), fetchKey, fetchVersion);
    put32(bytes + sizeByteCount + correlationAt, request->correlation);
    // No replica; at least a byte within half a second; uncommitted records too, without a session.
    to = put32(put32(put32(put32(to, UINT32_MAX), 500), 1), request->maximumByteCount);
    *to++ = 0;
    to = put16(put32(put32(put32(to, 0), UINT32_MAX), 1), nameByteCount);
    to = put_bytes(to, topicName, nameByteCount);
    to = put32(put32(put32(to, 1), request->partition), UINT32_MAX);
    to = put32(put64(put64(to, request->offset), UINT64_MAX), request->maximumByteCount);
    put16(put32(to, 0), 0);
    return dmq_send_all(socket, bytes, sizeof bytes, 0);
}

int64_t dmq_fetched_length(const unsigned char *head, const fetch_request *request, int *error) {
    const unsigned char *answer = head + sizeByteCount;
    *error = (int16_t)get16(answer + fetchAnswerErrorAt);
    if (*error == 0) *error = (int16_t)get16(answer + fetchAnswerPartitionErrorAt);
    int64_t length = (int32_t)get32(answer + fetchAnswerLengthAt);
    int isExpected = *error == 0 && get32(answer) == request->correlation &&
                     get32(answer + fetchAnswerTopicsAt) == 1 &&
                     get32(answer + fetchAnswerPartitionAt) == request->partition &&
                     (int32_t)get32(answer + fetchAnswerAbortedAt) <= 0 && length >= 0 &&
                     get32(head) == fetchAnswerHeadByteCount + (uint64_t)length;
    errno = EPROTO;
    return isExpected ? length : -1;
}

/// Receives and throws away.
static int discard(dmq_load *load, uint64_t byteCount) {
    for (uint64_t left = byteCount; left > 0;) {
        size_t next = left < discardByteCount ? (size_t)left : discardByteCount;
        if (receive_all(load->socket, load->discarded, next, MSG_TRUNC) != 0) return -1;
        left -= next;
    }
    return 0;
}

/// Receives an answer and throws its records away. Returns the length of the records, -1 on failure.
static int64_t receive_fetched(dmq_load *load, const fetch_request *request) {
    unsigned char head[sizeByteCount + fetchAnswerHeadByteCount];
    if (dmq_receive_all(load->socket, head, sizeof head) != 0) return -1;
    int64_t length = dmq_fetched_length(head, request, &load->error);
    if (length <= 0 || discard(load, (uint64_t)length) != 0) return -1;
    return length;
}

int dmq_load_fetch(dmq_load *load, const dmq_fetch_plan *plan, uint64_t *latencies, uint64_t *answerCount) {
    struct {
        uint64_t offset, left;
        int isAsked;
    } partitions[partitionLimit];
    struct {
        uint64_t since;
        fetch_request request;
    } asked[inFlightLimit];
    int count = load->frameCount, turn = 0;
    uint64_t sent = 0, done = 0, left = plan->byteCount * (uint64_t)count;
    errno = EINVAL;
    if (count > partitionLimit) return -1;
    if (plan->inFlight < 1 || plan->inFlight > inFlightLimit || plan->batchByteCount == 0) return -1;
    for (int number = 0; number < count; number++) {
        partitions[number].offset = 0;
        partitions[number].left = plan->byteCount;
        partitions[number].isAsked = 0;
    }
    while (left > 0) {
        for (int number = 0; number < count && sent - done < (uint64_t)plan->inFlight; number++) {
            int partition = turn;
            turn = turn + 1 == count ? 0 : turn + 1;
            if (partitions[partition].isAsked || partitions[partition].left == 0) continue;
            fetch_request request = {
                load->correlation++, (uint32_t)partition, partitions[partition].offset,
                plan->maximumByteCount};
            asked[sent % inFlightLimit].since = dmq_nanoseconds();
            asked[sent++ % inFlightLimit].request = request;
            partitions[partition].isAsked = 1;
            if (dmq_send_fetch(load->socket, &request) != 0) return -1;
        }
        uint64_t since = asked[done % inFlightLimit].since;
        uint32_t partition = asked[done % inFlightLimit].request.partition;
        int64_t length = receive_fetched(load, &asked[done % inFlightLimit].request);
        if (length < 0) return -1;
        // A batch that is cut at the end is asked for again.
        uint64_t batches = (uint64_t)length / plan->batchByteCount;
        uint64_t byteCount = batches * plan->batchByteCount;
        errno = EMSGSIZE;
        if (batches == 0 || byteCount > partitions[partition].left) return -1;
        if (latencies) latencies[done] = dmq_nanoseconds() - since;
        done++;
        partitions[partition].isAsked = 0;
        partitions[partition].left -= byteCount;
        partitions[partition].offset += batches * plan->batchRecordCount;
        left -= byteCount;
    }
    *answerCount = done;
    return 0;
}

// MARK: Asking

int dmq_load_ask_metadata(dmq_load *load) {
    unsigned char bytes[64];
    unsigned char *to = put_head(bytes + sizeByteCount, metadataKey, metadataVersion);
    // All topics.
    to = put32(to, UINT32_MAX);
    put32(bytes, (uint32_t)(to - bytes - sizeByteCount));
    if (dmq_send_all(load->socket, bytes, (size_t)(to - bytes), 0) != 0) return -1;
    if (dmq_receive_all(load->socket, load->answers, sizeByteCount) != 0) return -1;
    return discard(load, get32(load->answers));
}
