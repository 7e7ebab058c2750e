#include "CShims.h"

static uint32_t table[8][256];

__attribute__((constructor)) static void make_table(void) {
    for (uint32_t n = 0; n < 256; n++) {
        uint32_t c = n;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0x82F63B78u ^ (c >> 1) : c >> 1;
        table[0][n] = c;
    }
    for (uint32_t n = 0; n < 256; n++)
        for (int k = 1; k < 8; k++) table[k][n] = table[0][table[k - 1][n] & 0xff] ^ (table[k - 1][n] >> 8);
}

uint32_t dmq_crc32c_table(uint32_t crc, const void *bytes, size_t byteCount) {
    const uint8_t *p = bytes;
    crc = ~crc;
    while (byteCount--) crc = table[0][(crc ^ *p++) & 0xff] ^ (crc >> 8);
    return ~crc;
}

uint32_t dmq_crc32c(uint32_t crc, const void *bytes, size_t byteCount) {
    return dmq_crc32c_table(crc, bytes, byteCount);
}

const char *dmq_crc32c_routine(void) { return "table"; }
