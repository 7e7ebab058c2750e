// The least that the work of the storage engine needs, in C, and what measuring needs of the operating
// system.
//
// Each figure of dmq-bench is printed as a ratio to one of these, run in turn with it in the same process:
// the same bytes, the same checksum routine, the same file system, pages of the same kind. Nothing here
// knows what a log is beyond that: no offsets, no indexes, no errors but "it failed" (-1, with errno set).
#pragma once
#include <stddef.h>
#include <stdint.h>

// MARK: Measuring

/// Processor time in nanoseconds, and times that the kernel took the processor away.
typedef struct {
    uint64_t user;
    uint64_t system;
    uint64_t involuntarySwitches;
} dmq_processor_time;

/// Of the whole process, kernel workers that serve its rings included.
dmq_processor_time dmq_process_time(void);

/// Of the calling thread.
dmq_processor_time dmq_thread_time(void);

/// CLOCK_MONOTONIC in nanoseconds.
uint64_t dmq_nanoseconds(void);

/// Writes into `byteCount` bytes of fresh memory and gives them back, so that the host has backed them
/// before anything is timed: a virtual machine's first touch of a page is slow.
int dmq_touch_memory(size_t byteCount);

/// Bytes of memory that can be had without swapping (MemAvailable).
uint64_t dmq_available_memory(void);

/// 1 when standard error is a terminal, where progress is shown.
int dmq_shows_progress(void);

/// Writes to standard error.
void dmq_show(const char *text);

/// Ends the process.
_Noreturn void dmq_exit(int status);

/// Sets the limit of open files as high as it may be.
void dmq_raise_file_limit(void);

// MARK: Batches

/// Copies of the batches that producers sent, each page aligned, and how they are handed out: one after the
/// other, again and again, as from socket buffers.
typedef struct dmq_batches dmq_batches;

dmq_batches *dmq_batches_make(int capacity);
int dmq_batches_add(dmq_batches *batches, const void *bytes, size_t byteCount);
void dmq_batches_free(dmq_batches *batches);

// MARK: Appending

/// How to append.
typedef struct {
    /// Batches in all.
    uint64_t batchCount;
    /// Batches that go into one write, and share one sync; at most 1024.
    int group;
    /// Non-zero: fdatasync after each write.
    int syncs;
    /// Non-zero: fallocate so many bytes ahead of the writes.
    int64_t allocationStep;
} dmq_append_plan;

/// What came of it. Latencies are one entry a batch and one a sync, in nanoseconds.
typedef struct {
    uint64_t byteCount;
    uint64_t syncCount;
    /// Of the checksums, so that computing them cannot be left out.
    uint64_t hash;
} dmq_append_outcome;

/// Opens a file to append to; `keeps` non-zero leaves what is in it to be overwritten.
int dmq_baseline_open(const char *path, int keeps);
void dmq_baseline_close(int file);

/// fdatasync.
int dmq_baseline_sync(int file);

/// For each batch: checks its CRC-32C and sets its base offset; for each group: one pwritev to the next file
/// in turn, one fdatasync where asked.
///
/// - `written`: room for a latency a batch, from its turn to its group's end; may be null.
/// - `synced`: room for a latency a sync, `batchCount` of them; may be null.
int dmq_baseline_append(
    const int *files, int fileCount, const dmq_batches *batches, const dmq_append_plan *plan,
    uint64_t *written, uint64_t *synced, dmq_append_outcome *outcome);

// MARK: Reading

/// A TCP connection over loopback, and a thread that reads what comes and throws it away.
typedef struct dmq_sink dmq_sink;

/// - `bufferByteCount`: of both sockets' buffers.
/// - `checks` non-zero: computes the CRC-32C of all that comes.
dmq_sink *dmq_sink_start(int bufferByteCount, int checks);

/// The socket to send to.
int dmq_sink_socket(const dmq_sink *sink);

/// Waits until `byteCount` bytes have come in all; -1 when the connection ends before.
int dmq_sink_wait(dmq_sink *sink, uint64_t byteCount);

/// The checksum of what has come so far, where it is computed.
uint32_t dmq_sink_checksum(dmq_sink *sink);

void dmq_sink_stop(dmq_sink *sink);

/// Sends `byteCount` bytes from `position` of an open file to a socket by sendfile.
int dmq_send_file(int socket, int file, int64_t position, size_t byteCount);

/// Sends a file whole, `sliceByteCount` at a time. Returns the bytes sent, -1 on failure.
int64_t dmq_baseline_send(
    int socket, int file, size_t sliceByteCount, uint64_t *latencies, int latencyCapacity);

// MARK: Recovering

/// Reads a segment from its start to its end, `windowByteCount` at a time, and checks the CRC of each batch.
/// Returns the bytes of sound batches, -1 on failure; `hash` gets what the checksums add up to.
int64_t dmq_baseline_recover(const char *path, size_t windowByteCount, uint64_t *hash);

// MARK: Looking up

/// An array of offset and position, relative and big endian as in an index file, mapped.
typedef struct dmq_index dmq_index;

dmq_index *dmq_index_map(const char *path);
uint64_t dmq_index_count(const dmq_index *index);

/// Floor searches for `count` offsets that a generator makes from `seed`, each below `offsetLimit`. Returns
/// the sum of the positions found.
uint64_t dmq_index_search(const dmq_index *index, uint64_t count, uint64_t seed, uint64_t offsetLimit);
void dmq_index_unmap(dmq_index *index);

// MARK: Opening

/// Lists a directory and asks for the attributes of each file, and opens and closes the last log file: what
/// opening a log cannot do without. Returns the number of files, -1 on failure; `hash` gets the sum of their
/// sizes.
int64_t dmq_baseline_list(const char *path, uint64_t *hash);
