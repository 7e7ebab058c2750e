// CRC-32C by the best instructions of the processor, chosen once before main.
//
// Polynomials are reflected: bit 31 of a 32-bit value stands for x^0, bit 0 for x^31. Appending n zero bits
// to a message multiplies its remainder by x^n, so remainders of stretches computed side by side are combined
// by multiplying with constants x^n mod P. All constants are computed here from P, none is copied in as a
// number.
#include "CShims.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

#define POLYNOMIAL 0x82F63B78u

typedef uint32_t (*routine)(uint32_t crc, const void *bytes, size_t byteCount);

static uint64_t load64(const uint8_t *p) {
    uint64_t value;
    memcpy(&value, p, 8);
    return value;
}

// ---- table: eight bytes a step, for any processor

static uint32_t table[8][256];

static void make_table(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) c = c & 1 ? POLYNOMIAL ^ (c >> 1) : c >> 1;
        table[0][n] = c;
    }
    for (uint32_t n = 0; n < 256; n++)
        for (int k = 1; k < 8; k++) table[k][n] = table[0][table[k - 1][n] & 0xff] ^ (table[k - 1][n] >> 8);
}

uint32_t dmq_crc32c_table(uint32_t crc, const void *bytes, size_t byteCount) {
    const uint8_t *p = bytes;
    crc = ~crc;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; byteCount >= 8; byteCount -= 8, p += 8) {
        uint64_t v = load64(p) ^ crc;
        crc = table[7][v & 0xff] ^ table[6][(v >> 8) & 0xff] ^ table[5][(v >> 16) & 0xff] ^
              table[4][(v >> 24) & 0xff] ^ table[3][(v >> 32) & 0xff] ^ table[2][(v >> 40) & 0xff] ^
              table[1][(v >> 48) & 0xff] ^ table[0][v >> 56];
    }
#endif
    while (byteCount--) crc = table[0][(crc ^ *p++) & 0xff] ^ (crc >> 8);
    return ~crc;
}

#if defined(__x86_64__)

// ---- powers of x

/// a * b mod P.
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 0x80000000u; bit != 0; bit >>= 1) {
        if (a & bit) product ^= b;
        b = b & 1 ? POLYNOMIAL ^ (b >> 1) : b >> 1;
    }
    return product;
}

/// x^n mod P.
static uint32_t power(uint32_t n) {
    uint32_t result = 0x80000000u, square = 0x40000000u;
    for (; n != 0; n >>= 1, square = multiply(square, square))
        if (n & 1) result = multiply(result, square);
    return result;
}

// ---- SSE4.2: three streams at once, because the instruction takes three cycles but one starts in each

enum { LONG = 2048, SHORT = 256 };
static uint64_t shift_long, shift_two_long, shift_short, shift_two_short;

/// The constant that makes `shifted` append `n` bytes: the product of two 32-bit values read as 64 bits holds
/// one x too many, and the instruction that reduces it multiplies by x^32.
static uint64_t shift_constant(uint32_t n) { return power(8 * n - 33); }

__attribute__((target("sse4.2,pclmul"))) static inline uint64_t shifted(uint64_t crc, uint64_t constant) {
    __m128i product = _mm_clmulepi64_si128(
        _mm_cvtsi64_si128((long long)crc), _mm_cvtsi64_si128((long long)constant), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

/// Continues the raw remainder `a` over three neighbouring stretches of `stretch` bytes.
__attribute__((target("sse4.2,pclmul"))) static inline uint64_t three_way(
    uint64_t a, const uint8_t *p, size_t stretch, uint64_t shift_one, uint64_t shift_two) {
    uint64_t b = 0, c = 0;
    for (size_t i = 0; i < stretch; i += 8) {
        a = _mm_crc32_u64(a, load64(p + i));
        b = _mm_crc32_u64(b, load64(p + stretch + i));
        c = _mm_crc32_u64(c, load64(p + 2 * stretch + i));
    }
    return shifted(a, shift_two) ^ shifted(b, shift_one) ^ c;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_sse42(
    uint32_t crc, const void *bytes, size_t byteCount) {
    const uint8_t *p = bytes;
    uint64_t c = (uint32_t)~crc;
    for (; byteCount >= 3 * LONG; byteCount -= 3 * LONG, p += 3 * LONG)
        c = three_way(c, p, LONG, shift_long, shift_two_long);
    for (; byteCount >= 3 * SHORT; byteCount -= 3 * SHORT, p += 3 * SHORT)
        c = three_way(c, p, SHORT, shift_short, shift_two_short);
    for (; byteCount >= 8; byteCount -= 8, p += 8) c = _mm_crc32_u64(c, load64(p));
    while (byteCount--) c = _mm_crc32_u8((uint32_t)c, *p++);
    return ~(uint32_t)c;
}

// ---- AVX-512: four registers of four 128-bit lanes, each lane folded 256 bytes ahead by carry-less products

/// A pair of constants that multiplies a 128-bit lane by x^bits: its low half carries the higher powers. The
/// product of two 64-bit values read as 128 bits holds one x too many, hence the - 1.
typedef struct { uint64_t low, high; } fold_pair;

static fold_pair fold_2048, fold_512, fold_384, fold_256, fold_128;

static fold_pair fold_constants(uint32_t bits) {
    return (fold_pair){(uint64_t)power(bits + 64 - 1) << 32, (uint64_t)power(bits - 1) << 32};
}

#define AVX512 __attribute__((target("avx512f,avx512vl,avx512dq,vpclmulqdq,pclmul,sse4.2")))

AVX512 static inline __m512i wide(fold_pair pair) {
    return _mm512_broadcast_i32x4(_mm_set_epi64x((long long)pair.high, (long long)pair.low));
}

/// value * x^bits + next, in each lane.
AVX512 static inline __m512i fold(__m512i value, __m512i constants, __m512i next) {
    __m512i low = _mm512_clmulepi64_epi128(value, constants, 0x00);
    __m512i high = _mm512_clmulepi64_epi128(value, constants, 0x11);
    return _mm512_ternarylogic_epi64(low, high, next, 0x96);
}

AVX512 static inline __m128i fold_lane(__m128i value, fold_pair pair) {
    __m128i constants = _mm_set_epi64x((long long)pair.high, (long long)pair.low);
    return _mm_xor_si128(
        _mm_clmulepi64_si128(value, constants, 0x00), _mm_clmulepi64_si128(value, constants, 0x11));
}

AVX512 static uint32_t crc32c_avx512(uint32_t crc, const void *bytes, size_t byteCount) {
    if (byteCount < 512) return crc32c_sse42(crc, bytes, byteCount);
    const uint8_t *p = bytes;
    __m512i a = _mm512_xor_si512(
        _mm512_loadu_si512(p), _mm512_zextsi128_si512(_mm_cvtsi32_si128((int)~crc)));
    __m512i b = _mm512_loadu_si512(p + 64);
    __m512i c = _mm512_loadu_si512(p + 128);
    __m512i d = _mm512_loadu_si512(p + 192);
    __m512i far = wide(fold_2048), near = wide(fold_512);
    p += 256;
    byteCount -= 256;
    for (; byteCount >= 256; byteCount -= 256, p += 256) {
        a = fold(a, far, _mm512_loadu_si512(p));
        b = fold(b, far, _mm512_loadu_si512(p + 64));
        c = fold(c, far, _mm512_loadu_si512(p + 128));
        d = fold(d, far, _mm512_loadu_si512(p + 192));
    }
    a = fold(fold(fold(a, near, b), near, c), near, d);
    for (; byteCount >= 64; byteCount -= 64, p += 64) a = fold(a, near, _mm512_loadu_si512(p));
    __m128i lane = _mm_xor_si128(
        _mm_xor_si128(
            fold_lane(_mm512_extracti64x2_epi64(a, 0), fold_384),
            fold_lane(_mm512_extracti64x2_epi64(a, 1), fold_256)),
        _mm_xor_si128(
            fold_lane(_mm512_extracti64x2_epi64(a, 2), fold_128), _mm512_extracti64x2_epi64(a, 3)));
    uint64_t rest = _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(lane));
    rest = _mm_crc32_u64(rest, (uint64_t)_mm_extract_epi64(lane, 1));
    for (; byteCount >= 8; byteCount -= 8, p += 8) rest = _mm_crc32_u64(rest, load64(p));
    while (byteCount--) rest = _mm_crc32_u8((uint32_t)rest, *p++);
    return ~(uint32_t)rest;
}

static void make_constants(void) {
    shift_long = shift_constant(LONG);
    shift_two_long = shift_constant(2 * LONG);
    shift_short = shift_constant(SHORT);
    shift_two_short = shift_constant(2 * SHORT);
    fold_2048 = fold_constants(2048);
    fold_512 = fold_constants(512);
    fold_384 = fold_constants(384);
    fold_256 = fold_constants(256);
    fold_128 = fold_constants(128);
}

#elif defined(__aarch64__)

__attribute__((target("+crc"))) static uint32_t crc32c_armv8(
    uint32_t crc, const void *bytes, size_t byteCount) {
    const uint8_t *p = bytes;
    crc = ~crc;
    for (; byteCount >= 8; byteCount -= 8, p += 8) crc = __crc32cd(crc, load64(p));
    while (byteCount--) crc = __crc32cb(crc, *p++);
    return ~crc;
}

#endif

// ---- choice

static struct { routine run; const char *name; } routines[3] = {{dmq_crc32c_table, "table"}};
static int routine_count = 1;
static routine best = dmq_crc32c_table;

static void offer(routine run, const char *name) {
    routines[routine_count].run = run;
    routines[routine_count].name = name;
    routine_count++;
    best = run;
}

__attribute__((constructor)) static void choose(void) {
    make_table();
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("pclmul")) return;
    make_constants();
    offer(crc32c_sse42, "sse4.2");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("vpclmulqdq"))
        offer(crc32c_avx512, "avx512-vpclmulqdq");
#elif defined(__aarch64__)
    if (getauxval(AT_HWCAP) & (1u << 7)) offer(crc32c_armv8, "armv8-crc");  // HWCAP_CRC32
#endif
}

uint32_t dmq_crc32c(uint32_t crc, const void *bytes, size_t byteCount) { return best(crc, bytes, byteCount); }

const char *dmq_crc32c_routine(void) { return routines[routine_count - 1].name; }

int dmq_crc32c_routine_count(void) { return routine_count; }

const char *dmq_crc32c_routine_name(int number) { return routines[number].name; }

uint32_t dmq_crc32c_by(int number, uint32_t crc, const void *bytes, size_t byteCount) {
    return routines[number].run(crc, bytes, byteCount);
}
