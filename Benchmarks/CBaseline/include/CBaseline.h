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
    /// Exact; its two parts need not add up to it, as the kernel tells them apart by sampling.
    uint64_t total;
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

/// How many threads wanted a processor at once, on average over the last minute.
double dmq_load_average(void);

/// 1 when standard error is a terminal, where progress is shown.
int dmq_shows_progress(void);

/// Writes to standard error.
void dmq_show(const char *text);

/// Why the last call here failed (errno), in words.
const char *dmq_error_text(void);

/// Hands on what is in the buffer of standard output.
void dmq_flush_output(void);

/// Does nothing for so long.
void dmq_nap(uint64_t nanoseconds);

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

// MARK: A broker

/// Serves Produce and Fetch requests like those of `dmq_load` on a port of its own at 127.0.0.1, which it
/// prints, until the process is killed: each batch is received, its CRC-32C checked, its base offset set,
/// written to the partition's file in `path` and answered; with `syncs` after one fdatasync a file for all
/// that came at once, all files at the same time. Answers with records are sent by sendfile, once there are
/// some. One thread does all but the syncs. Returns -1 when it cannot go on.
int dmq_ceiling_serve(const char *path, int syncs);

/// A connection to a broker or to the ceiling, and the requests to send to either: real ones, made
/// beforehand, so that the client costs next to nothing. The topic is called "benchmark".
typedef struct dmq_load dmq_load;

/// Connects to 127.0.0.1; null on failure.
dmq_load *dmq_load_connect(int port);
void dmq_load_close(dmq_load *load);

/// Kafka's error code, where that is why something failed; else 0.
int dmq_load_error(const dmq_load *load);

/// Prepares a Produce request with a batch for the next partition, counted from 0.
int dmq_load_add(dmq_load *load, const void *batch, size_t byteCount);

/// Sends `count` of the prepared requests in turn and waits for all answers, each of which must say that
/// there was no error.
///
/// - `inFlight`: requests without an answer at once, at most 256.
/// - `interval`: nanoseconds between two requests; 0 for as fast as it goes.
/// - `latencies`: room for one a request, from when it was due (or sent, without an interval) to its answer;
///   may be null.
int dmq_load_produce(dmq_load *load, uint64_t count, int inFlight, uint64_t interval, uint64_t *latencies);

/// How to read the partitions for which requests are prepared.
typedef struct {
    /// Bytes of each partition, whole batches.
    uint64_t byteCount;
    /// Of one answer.
    uint32_t maximumByteCount;
    /// Requests without an answer at once; of a partition there is one.
    int inFlight;
    /// All batches are alike.
    uint64_t batchByteCount;
    uint64_t batchRecordCount;
} dmq_fetch_plan;

/// Reads the partitions from the beginning, one a request, in turn; the records are thrown away unseen.
///
/// - `latencies`: room for one an answer, at most one a batch; may be null.
/// - `answerCount`: gets the number of answers.
int dmq_load_fetch(dmq_load *load, const dmq_fetch_plan *plan, uint64_t *latencies, uint64_t *answerCount);

/// Asks for the metadata of all topics and waits for the answer.
int dmq_load_ask_metadata(dmq_load *load);

/// Many small producers, each on a connection of its own with one request at a time, and consumers at the
/// tail, each of one partition, in turn.
typedef struct dmq_crowd dmq_crowd;

/// Connects them all. The producers send the requests that are prepared in `load`, one of them each, in turn,
/// with batches that are all alike, of `batchRecordCount` records; the consumers wait for the first record of
/// their partition, so there must be none yet. Null on failure.
dmq_crowd *dmq_crowd_gather(
    const dmq_load *load, int port, int producerCount, int consumerCount, uint64_t batchByteCount,
    uint64_t batchRecordCount);

/// Sends `count` requests in all, as fast as it goes, and waits for their answers.
///
/// - `latencies`: room for one a request, from when it was sent to its answer; may be null.
/// - `delivered`: gets the number of records that all consumers got meanwhile.
int dmq_crowd_produce(dmq_crowd *crowd, uint64_t count, uint64_t *latencies, uint64_t *delivered);

/// Kafka's error code, where that is why something failed; else 0.
int dmq_crowd_error(const dmq_crowd *crowd);
void dmq_crowd_disperse(dmq_crowd *crowd);

// MARK: Other processes

/// A program that was started; its standard output goes here, its errors where ours go. It ends with the
/// thread that started it at the latest.
typedef struct dmq_child dmq_child;

/// - `arguments`: the program's path and its arguments, with line ends between them.
dmq_child *dmq_child_start(const char *arguments);
int dmq_child_pid(const dmq_child *child);

/// The port of the first address at 127.0.0.1 that it prints; -1 when it ends before.
int dmq_child_port(dmq_child *child);

/// Waits until it has ended. Returns its exit status, or 128 and the signal that ended it.
int dmq_child_wait(dmq_child *child);

/// Asks it to end, or ends it without a warning, and waits.
int dmq_child_end(dmq_child *child, int isForced);

/// Processor time since it was started; its parts as the kernel samples them, in hundredths of a second.
int dmq_child_time(const dmq_child *child, dmq_processor_time *time);

/// Resident bytes, -1 on failure.
int64_t dmq_child_memory(const dmq_child *child);

/// Descriptors it has open, -1 on failure.
int dmq_child_descriptors(const dmq_child *child);

/// Path of the program that runs.
const char *dmq_own_path(void);
