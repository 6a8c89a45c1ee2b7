/* Split-block Bloom filters (Parquet's): a key sets eight bits of one block of 32 bytes.
 *
 * The blocks of a file's row groups are interleaved, so that a probe of all of them reads one place of the file. */
#ifndef PENSTOCK_BLOOM_FILTER_H
#define PENSTOCK_BLOOM_FILTER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "bloom/hash.h"

#define BL_BLOCK_BYTES 32
#define BL_BLOCK_WORDS 8

static const uint32_t bl_salts[BL_BLOCK_WORDS] = {
    0x47B6137Bu, 0x44974D91u, 0x8824AD5Bu, 0xA2B7289Du, 0x705495C7u, 0x2DF1424Bu, 0x9EFC4947u, 0x5C6BFB31u};

static inline uint64_t bl_block_of(uint64_t key, uint32_t blocks)
{
    /* A multiplication instead of a modulo, as in Parquet. The block comes from the upper half of the key and the
     * bits from the lower, so that the two do not depend on each other. */
    return (key >> 32) * blocks >> 32;
}

static void bl_filter_add(uint8_t *filter, uint32_t blocks, uint32_t groups, uint32_t group, const uint64_t *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t *block = filter + (bl_block_of(keys[i], blocks) * groups + group) * BL_BLOCK_BYTES;
#if BL_LITTLE_ENDIAN
        uint32_t words[BL_BLOCK_WORDS];
        memcpy(words, block, sizeof words);
        for (int word = 0; word < BL_BLOCK_WORDS; word++)
            words[word] |= 1u << ((uint32_t)keys[i] * bl_salts[word] >> 27);
        memcpy(block, words, sizeof words);
#else /* byte by byte, so that the file is the same on every machine */
        for (int word = 0; word < BL_BLOCK_WORDS; word++) {
            uint32_t bit = (uint32_t)keys[i] * bl_salts[word] >> 27;
            block[4 * word + (bit >> 3)] |= (uint8_t)(1u << (bit & 7));
        }
#endif
    }
}

/* Whether one block, as it lies in the file, may hold the key. */
static int bl_block_has(const uint8_t *block, uint64_t key)
{
    for (int word = 0; word < BL_BLOCK_WORDS; word++) {
        uint32_t bit = (uint32_t)key * bl_salts[word] >> 27;
        if (!(block[4 * word + (bit >> 3)] >> (bit & 7) & 1))
            return 0;
    }
    return 1;
}

#endif
