/* Hashes of values, and the set that keeps each key once.
 *
 * The hash has no secret: a key is the same in every file, so a query hashes its words once. Whoever knows the hash can
 * make values whose keys are alike; that costs a needless look into a row group, never an event. The set's slots do
 * follow a secret, or such values could make it slow. */
#ifndef PENSTOCK_BLOOM_HASH_H
#define PENSTOCK_BLOOM_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t bl_fold_product(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t bl_mix(uint64_t h)
{
    return bl_fold_product(h ^ 0x9E3779B97F4A7C15ull, 0xE7037ED1A0B428DBull);
}

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BL_LITTLE_ENDIAN 1
#else
#define BL_LITTLE_ENDIAN 0
#endif

/* Up to eight bytes, little-endian on every machine: keys travel with the files. */
static inline uint64_t bl_load(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
#if BL_LITTLE_ENDIAN
    if (bytes == 8) {
        memcpy(&value, at, 8);
        return value;
    }
    if (bytes >= 4) { /* two halves that overlap: nothing outside the text is touched, and there is no loop */
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + bytes - 4, 4);
        return low | (uint64_t)high << (8 * (bytes - 4));
    }
#endif
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint64_t bl_hash(const uint8_t *at, size_t bytes)
{
    uint64_t h = 0x8EBC6AF09C88C6E3ull ^ bytes;
    for (; bytes > 8; at += 8, bytes -= 8)
        h = bl_fold_product(h ^ bl_load(at, 8), 0xA0761D6478BD642Full);
    return bl_mix(bl_fold_product(h ^ bl_load(at, bytes), 0x589965CC75374CC3ull));
}

#endif
