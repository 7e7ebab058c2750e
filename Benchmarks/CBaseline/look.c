#define _GNU_SOURCE
#include "CBaseline.h"
#include "CShims.h"
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// Fields of a record batch, version 2.
enum { lengthAt = 8, lengthPrefix = 12, crcAt = 17, checksummedFrom = 21, headerByteCount = 61 };

static uint32_t big_endian_32(const unsigned char *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

// MARK: Recovering

int64_t dmq_baseline_recover(const char *path, size_t windowByteCount, uint64_t *hash) {
    int64_t result = -1, position = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char *window = aligned_alloc(4096, windowByteCount);
    if (file < 0 || !window) goto end;
    size_t have = 0, used = 0;
    uint64_t sum = 0;
    for (;;) {
        size_t left = have - used;
        size_t need = headerByteCount;
        if (left >= headerByteCount) need = (size_t)big_endian_32(window + used + lengthAt) + lengthPrefix;
        if (need < headerByteCount || need > windowByteCount) break;
        if (left < need) {
            memmove(window, window + used, left);
            ssize_t count = pread(file, window + left, windowByteCount - left, position + (int64_t)left);
            if (count < 0) goto end;
            have = left + (size_t)count;
            used = 0;
            if (count == 0) break;
            continue;
        }
        uint32_t crc = dmq_crc32c(0, window + used + checksummedFrom, need - checksummedFrom);
        if (crc != big_endian_32(window + used + crcAt)) break;
        sum = sum * 31 + crc;
        used += need;
        position += (int64_t)need;
    }
    *hash = sum;
    result = position;
end:
    free(window);
    if (file >= 0) close(file);
    return result;
}

// MARK: Looking up

struct dmq_index {
    const unsigned char *entries;
    size_t byteCount;
    uint64_t count;
};

enum { entryByteCount = 8 };

dmq_index *dmq_index_map(const char *path) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return NULL;
    struct stat status;
    dmq_index *index = NULL;
    if (fstat(file, &status) == 0 && status.st_size > 0) {
        void *memory = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, file, 0);
        if (memory != MAP_FAILED) index = calloc(1, sizeof *index);
        if (index) {
            index->entries = memory;
            index->byteCount = (size_t)status.st_size;
            index->count = (uint64_t)status.st_size / entryByteCount;
        }
    }
    close(file);
    return index;
}

uint64_t dmq_index_count(const dmq_index *index) { return index->count; }

void dmq_index_unmap(dmq_index *index) {
    if (!index) return;
    munmap((void *)index->entries, index->byteCount);
    free(index);
}

/// The generator that the Swift side uses too (SplitMix64).
static uint64_t next_random(uint64_t *state) {
    uint64_t value = (*state += 0x9E3779B97F4A7C15u);
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9u;
    value = (value ^ (value >> 27)) * 0x94D049BB133111EBu;
    return value ^ (value >> 31);
}

uint64_t dmq_index_search(const dmq_index *index, uint64_t count, uint64_t seed, uint64_t offsetLimit) {
    uint64_t sum = 0;
    for (uint64_t number = 0; number < count; number++) {
        uint64_t target = next_random(&seed) % offsetLimit;
        uint64_t low = 0, length = index->count;
        while (length > 1) {
            uint64_t half = length / 2;
            if (big_endian_32(index->entries + (low + half) * entryByteCount) <= target) low += half;
            length -= half;
        }
        const unsigned char *entry = index->entries + low * entryByteCount;
        if (big_endian_32(entry) <= target) sum += big_endian_32(entry + 4);
    }
    return sum;
}

// MARK: Opening

int64_t dmq_baseline_list(const char *path, uint64_t *hash) {
    DIR *directory = opendir(path);
    if (!directory) return -1;
    int64_t files = 0;
    uint64_t sum = 0;
    struct dirent *entry;
    char last[256] = "";
    while ((entry = readdir(directory))) {
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) != 0) continue;
        if (!S_ISREG(status.st_mode)) continue;
        files++;
        sum += (uint64_t)status.st_size;
        size_t length = strlen(entry->d_name);
        int isLog = length > 4 && strcmp(entry->d_name + length - 4, ".log") == 0;
        if (isLog && strcmp(entry->d_name, last) > 0) memcpy(last, entry->d_name, length + 1);
    }
    int file = last[0] ? openat(dirfd(directory), last, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) close(file);
    closedir(directory);
    *hash = sum;
    return files;
}
