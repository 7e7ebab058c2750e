#include "CAllocationCounter.h"
#include <errno.h>
#include <stddef.h>

static __thread uint64_t count;

uint64_t dmq_allocation_count(void) { return count; }

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

#ifdef SANITIZED

int dmq_allocation_counting(void) { return 0; }

#else

int dmq_allocation_counting(void) { return 1; }

// The C library keeps its own entry points under these names for replacements like ours. Its free() takes
// back what they return, so it is not replaced.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

void *malloc(size_t byteCount) {
    count++;
    return __libc_malloc(byteCount);
}

void *calloc(size_t elements, size_t elementByteCount) {
    count++;
    return __libc_calloc(elements, elementByteCount);
}

void *realloc(void *block, size_t byteCount) {
    count++;
    return __libc_realloc(block, byteCount);
}

void *memalign(size_t alignment, size_t byteCount) {
    count++;
    return __libc_memalign(alignment, byteCount);
}

void *aligned_alloc(size_t alignment, size_t byteCount) { return memalign(alignment, byteCount); }

int posix_memalign(void **result, size_t alignment, size_t byteCount) {
    if (alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
    void *block = memalign(alignment, byteCount);
    if (!block) return ENOMEM;
    *result = block;
    return 0;
}

#endif
