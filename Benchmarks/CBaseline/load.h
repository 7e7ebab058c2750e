// What the loads share: a connection, the requests prepared for it, and what a fetch looks like.
#pragma once
#include "CBaseline.h"
#include "frames.h"

enum { answerRoom = 64 << 10, discardByteCount = 1 << 20 };

typedef struct {
    unsigned char *bytes;
    size_t byteCount;
} frame;

enum {
    /// Partitions that may be written to. The ceiling serves no more than `partitionLimit`, and no more are
    /// fetched from.
    loadLimit = 5000,
};

struct dmq_load {
    int socket;
    int error;
    uint32_t correlation;
    int frameCount;
    frame frames[loadLimit];
    size_t received;
    unsigned char answers[answerRoom];
    unsigned char discarded[discardByteCount];
};

/// What is asked of a partition, and how its answer is told from others.
typedef struct {
    uint32_t correlation;
    uint32_t partition;
    uint64_t offset;
    uint32_t maximumByteCount;
} fetch_request;

/// Connects to 127.0.0.1, without delays for small requests, and with an end to waiting for a server that
/// hangs; -1 on failure.
int dmq_connect(int port);

/// Sends a request for the records of a partition from an offset on.
int dmq_send_fetch(int socket, const fetch_request *request);

/// Looks at what an answer has before its records. Returns their length; -1 when the answer is not what was
/// asked for, or carries an error, which `error` gets.
int64_t dmq_fetched_length(const unsigned char *head, const fetch_request *request, int *error);
