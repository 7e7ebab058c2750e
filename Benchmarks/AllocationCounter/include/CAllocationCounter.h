// Counts heap allocations, for tests and measurements that promise none. Linking it replaces malloc and its
// relatives in the whole program by ones that count and then do what the C library does.
#pragma once
#include <stdint.h>

/// How often the calling thread has allocated or grown heap memory since it started. Always 0 under the
/// address sanitizer, which replaces malloc itself: ask `dmq_allocation_counting` before relying on it.
uint64_t dmq_allocation_count(void);

/// 1 where allocations are counted, 0 where they cannot be.
int dmq_allocation_counting(void);
