// The few C lines that Swift cannot express: CRC-32C instructions and open(2)'s variadic mode.
// No policy and no state beyond the choice of the fastest CRC routine that this processor has.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Continues a CRC-32C (Castagnoli, reflected, initial and final inversion included) over `byteCount` bytes.
/// Start with 0. Uses the best instructions of this processor.
uint32_t dmq_crc32c(uint32_t crc, const void *bytes, size_t byteCount);

/// The same with the portable table, for processors without the instructions and as the reference in tests.
uint32_t dmq_crc32c_table(uint32_t crc, const void *bytes, size_t byteCount);

/// The name of the routine that `dmq_crc32c` uses: "avx512-vpclmulqdq", "sse4.2", "armv8-crc" or "table".
const char *dmq_crc32c_routine(void);

/// The number of routines that this processor can run, the best of them last; the table is number 0.
int dmq_crc32c_routine_count(void);

/// The name of routine `number`, which is less than `dmq_crc32c_routine_count()`.
const char *dmq_crc32c_routine_name(int number);

/// `dmq_crc32c` by routine `number`, for tests and measurements.
uint32_t dmq_crc32c_by(int number, uint32_t crc, const void *bytes, size_t byteCount);

/// open(2), which is variadic. Returns a descriptor or -1 with errno set.
int dmq_open(const char *path, int flags, unsigned mode);

/// Starts an io_uring that was set up disabled; the calling thread becomes its only issuer. liburing 2.3
/// declares io_uring_enable_rings but its library does not export it. Returns 0, or -1 with errno set.
int dmq_enable_ring(int descriptor);
