// Counts heap allocations, for tests and measurements that promise none. Linking it replaces malloc and its
// relatives in the whole program by ones that count and then do what the C library does.
#pragma once
#include <stdint.h>

/// How often the calling thread has allocated or grown heap memory since it started.
uint64_t dmq_allocation_count(void);

/// 1 where allocations are counted, 0 where they cannot be: a sanitizer may have no room for our hook.
int dmq_allocation_counting(void);
