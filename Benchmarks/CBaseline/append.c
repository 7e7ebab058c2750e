#define _GNU_SOURCE
#include "CBaseline.h"
#include "CShims.h"
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

// Fields of a record batch, version 2.
enum { crcAt = 17, checksummedFrom = 21, lastOffsetDeltaAt = 23, groupLimit = 1024, fileLimit = 1024 };

typedef struct {
    unsigned char *bytes;
    size_t byteCount;
} batch;

struct dmq_batches {
    int capacity;
    int count;
    batch all[];
};

dmq_batches *dmq_batches_make(int capacity) {
    dmq_batches *batches = calloc(1, sizeof(dmq_batches) + (size_t)capacity * sizeof(batch));
    if (batches) batches->capacity = capacity;
    return batches;
}

int dmq_batches_add(dmq_batches *batches, const void *bytes, size_t byteCount) {
    if (batches->count == batches->capacity) return -1;
    unsigned char *copy = aligned_alloc(4096, (byteCount + 4095) / 4096 * 4096);
    if (!copy) return -1;
    memcpy(copy, bytes, byteCount);
    batches->all[batches->count++] = (batch){copy, byteCount};
    return 0;
}

void dmq_batches_free(dmq_batches *batches) {
    if (!batches) return;
    for (int number = 0; number < batches->count; number++) free(batches->all[number].bytes);
    free(batches);
}

int dmq_baseline_open(const char *path, int keeps) {
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC | (keeps ? 0 : O_TRUNC), 0644);
}

void dmq_baseline_close(int file) { close(file); }

int dmq_baseline_sync(int file) { return fdatasync(file); }

static uint32_t big_endian_32(const unsigned char *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

/// What a producer sends: no base offset, no leader epoch.
static void receive(batch batch) {
    memset(batch.bytes, 0, 8);
    memset(batch.bytes + 12, 0xFF, 4);
}

static void set_base_offset(batch batch, int64_t offset) {
    uint64_t value = htobe64((uint64_t)offset);
    memcpy(batch.bytes, &value, sizeof value);
}

typedef struct {
    int64_t position;
    int64_t allocated;
    int64_t offset;
} file_state;

/// Writes all of the vectors; changes them.
static int write_all(int file, struct iovec *vectors, int count, int64_t position) {
    while (count > 0) {
        ssize_t written = pwritev(file, vectors, count, position);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return -1;
        position += written;
        while (count > 0 && (size_t)written >= vectors->iov_len) {
            written -= (ssize_t)vectors->iov_len;
            vectors++;
            count--;
        }
        if (count > 0) {
            vectors->iov_base = (char *)vectors->iov_base + written;
            vectors->iov_len -= (size_t)written;
        }
    }
    return 0;
}

static int reserve(int file, file_state *state, int64_t byteCount, int64_t step) {
    if (step <= 0 || state->position + byteCount <= state->allocated) return 0;
    int64_t length = byteCount > step ? byteCount : step;
    if (fallocate(file, 0, state->allocated, length) != 0) return -1;
    state->allocated += length;
    return 0;
}

int dmq_baseline_append(
    const int *files, int fileCount, const dmq_batches *batches, const dmq_append_plan *plan,
    uint64_t *written, uint64_t *synced, dmq_append_outcome *outcome) {
    if (plan->group < 1 || plan->group > groupLimit || fileCount < 1 || fileCount > fileLimit) {
        errno = EINVAL;
        return -1;
    }
    struct iovec vectors[groupLimit];
    uint64_t starts[groupLimit];
    file_state *states = calloc((size_t)fileCount, sizeof(file_state));
    if (!states) return -1;
    int result = -1;
    uint64_t done = 0;
    int next = 0, turn = 0;
    memset(outcome, 0, sizeof *outcome);
    for (int number = 0; number < fileCount; number++) {
        off_t size = lseek(files[number], 0, SEEK_END);
        states[number].allocated = size > 0 ? size : 0;
    }
    while (done < plan->batchCount) {
        int count = 0;
        int64_t groupByteCount = 0;
        file_state *state = &states[turn];
        while (count < plan->group && done + (uint64_t)count < plan->batchCount) {
            batch batch = batches->all[next];
            next = next + 1 == batches->count ? 0 : next + 1;
            receive(batch);
            if (written) starts[count] = dmq_nanoseconds();
            uint32_t crc = dmq_crc32c(0, batch.bytes + checksummedFrom, batch.byteCount - checksummedFrom);
            if (crc != big_endian_32(batch.bytes + crcAt)) goto end;
            set_base_offset(batch, state->offset);
            state->offset += (int64_t)big_endian_32(batch.bytes + lastOffsetDeltaAt) + 1;
            outcome->hash = outcome->hash * 31 + crc;
            vectors[count++] = (struct iovec){batch.bytes, batch.byteCount};
            groupByteCount += (int64_t)batch.byteCount;
        }
        if (reserve(files[turn], state, groupByteCount, plan->allocationStep) != 0) goto end;
        if (write_all(files[turn], vectors, count, state->position) != 0) goto end;
        if (plan->syncs) {
            uint64_t start = synced ? dmq_nanoseconds() : 0;
            if (fdatasync(files[turn]) != 0) goto end;
            if (synced) synced[outcome->syncCount] = dmq_nanoseconds() - start;
            outcome->syncCount++;
        }
        if (written) {
            uint64_t end = dmq_nanoseconds();
            for (int number = 0; number < count; number++) {
                written[done + (uint64_t)number] = end - starts[number];
            }
        }
        state->position += groupByteCount;
        outcome->byteCount += (uint64_t)groupByteCount;
        done += (uint64_t)count;
        turn = turn + 1 == fileCount ? 0 : turn + 1;
    }
    result = 0;
end:
    free(states);
    return result;
}
