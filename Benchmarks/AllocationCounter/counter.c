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

// A sanitizer replaces malloc itself and calls back for each block.
extern int __sanitizer_install_malloc_and_free_hooks(
    void (*allocated)(const volatile void *, size_t), void (*freed)(const volatile void *));

__attribute__((no_sanitize("address", "thread")))
static void block_allocated(const volatile void *block, size_t byteCount) {
    (void)block, (void)byteCount;
    count++;
}

static void block_freed(const volatile void *block) { (void)block; }

static int is_installed;

__attribute__((constructor)) static void install(void) {
    is_installed = __sanitizer_install_malloc_and_free_hooks(block_allocated, block_freed) > 0;
}

int dmq_allocation_counting(void) { return is_installed; }

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
    int is_power_of_two = alignment != 0 && (alignment & (alignment - 1)) == 0;
    if (!is_power_of_two || alignment % sizeof(void *) != 0) return EINVAL;
    void *block = memalign(alignment, byteCount);
    if (!block) return ENOMEM;
    *result = block;
    return 0;
}

#endif
