// Where things stand in the requests that the load sends and in their answers.
//
// Produce in version 9 and Fetch in version 11 of Kafka's protocol, each for one partition of a topic whose
// name has a fixed length, so that every field up to the records stands in a fixed place. Positions count
// from behind the size that precedes each frame.
#pragma once
#include <endian.h>
#include <stdint.h>
#include <string.h>

enum {
    sizeByteCount = 4,
    apiKeyAt = 0,
    correlationAt = 4,
    nameByteCount = 9,
    partitionLimit = 256,

    produceKey = 0,
    produceVersion = 9,
    /// Number of the partition; behind it the length of the batch as a varint, plus one, and the batch.
    producePartitionAt = 39,
    produceLengthAt = 43,
    /// Empty lists of tagged fields, of the partition, the topic and the request.
    produceTailByteCount = 3,
    produceAnswerByteCount = 56,
    produceAnswerPartitionAt = 17,
    produceAnswerErrorAt = 21,

    fetchKey = 1,
    fetchVersion = 11,
    fetchPartitionAt = 63,
    fetchOffsetAt = 71,
    fetchMaximumAt = 87,
    fetchByteCount = 97,
    /// What an answer has before its records.
    fetchAnswerHeadByteCount = 75,
    fetchAnswerErrorAt = 8,
    fetchAnswerTopicsAt = 14,
    fetchAnswerPartitionAt = 33,
    fetchAnswerPartitionErrorAt = 37,
    fetchAnswerAbortedAt = 63,
    fetchAnswerLengthAt = 71,

    metadataKey = 3,
    metadataVersion = 1,
};

/// Of the client and of the topic.
static const char clientName[nameByteCount + 1] = "dmq-bench";
static const char topicName[nameByteCount + 1] = "benchmark";

static inline uint16_t get16(const unsigned char *bytes) {
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return be16toh(value);
}

static inline uint32_t get32(const unsigned char *bytes) {
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static inline uint64_t get64(const unsigned char *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return be64toh(value);
}

static inline unsigned char *put16(unsigned char *to, uint16_t value) {
    value = htobe16(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static inline unsigned char *put32(unsigned char *to, uint32_t value) {
    value = htobe32(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static inline unsigned char *put64(unsigned char *to, uint64_t value) {
    value = htobe64(value);
    memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

static inline unsigned char *put_bytes(unsigned char *to, const void *bytes, size_t byteCount) {
    memcpy(to, bytes, byteCount);
    return to + byteCount;
}

/// Sends or receives all of it on a blocking socket; -1 on failure or at the end.
int dmq_send_all(int socket, const void *bytes, size_t byteCount, int flags);
int dmq_receive_all(int socket, void *bytes, size_t byteCount);
