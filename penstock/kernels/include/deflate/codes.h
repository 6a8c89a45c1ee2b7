/* Huffman codes: lengths from counts, canonical codes from lengths, as deflate wants them (RFC 1951, 3.2). */
#ifndef PENSTOCK_DEFLATE_CODES_H
#define PENSTOCK_DEFLATE_CODES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PK_SYMBOLS_MAX 286 /* of one code: literals, end of block, lengths */
#define PK_CODE_BITS_MAX 15

/* A code: of each symbol its length in bits (0: it does not occur) and its bits, first bit lowest. */
struct pk_code {
    uint8_t length[PK_SYMBOLS_MAX];
    uint16_t bits[PK_SYMBOLS_MAX];
};

static int pk_compare_keys(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* How many of the sorted symbols get each length: Huffman's tree, its deepest leaves then raised to `longest`.
 * `weights` holds the counts of the n >= 2 symbols, ascending, and has room for 2n - 1. */
static void pk_count_lengths(uint32_t *weights, unsigned n, unsigned longest, unsigned *lengths)
{
    uint16_t parent[2 * PK_SYMBOLS_MAX];
    uint8_t depth[2 * PK_SYMBOLS_MAX];
    unsigned leaf = 0, inner = n, root = 2 * n - 2;
    for (unsigned node = n; node <= root; node++) {
        weights[node] = 0;
        for (int child = 0; child < 2; child++) {
            /* The lighter of the next leaf and the next inner node; of equals the leaf: that tree is the flattest. */
            unsigned taken = leaf < n && (inner >= node || weights[leaf] <= weights[inner]) ? leaf++ : inner++;
            weights[node] += weights[taken];
            parent[taken] = (uint16_t)node;
        }
    }
    depth[root] = 0;
    for (unsigned node = root; node-- > 0;) {
        /* Depths beyond the longest code are cut below anyway; 200 keeps them in a byte. */
        unsigned deep = depth[parent[node]] + 1u;
        depth[node] = (uint8_t)(deep < 200 ? deep : 200);
        if (node < n)
            lengths[deep < longest ? deep : longest]++;
    }
    /* Raised leaves claim more than the whole (Kraft's sum): push others down, the longest short codes first. */
    uint32_t claimed = 0;
    for (unsigned l = 1; l <= longest; l++)
        claimed += lengths[l] << (longest - l);
    for (; claimed > 1u << longest; claimed--) {
        unsigned l = longest - 1;
        while (!lengths[l])
            l--;
        lengths[l]--;
        lengths[l + 1] += 2;
        lengths[longest]--;
    }
}

/* The best code (nearly, where `longest` binds) for symbols that occur `counts` times, each count below 2^23. Two symbols
 * get a code even if fewer occur: some readers refuse a code that is not full. */
static void pk_code_make(struct pk_code *code, const uint32_t *counts, unsigned symbols, unsigned longest)
{
    uint32_t keys[PK_SYMBOLS_MAX], weights[2 * PK_SYMBOLS_MAX];
    unsigned lengths[PK_CODE_BITS_MAX + 1] = {0}, next[PK_CODE_BITS_MAX + 2] = {0}, n = 0;
    for (unsigned s = 0; s < symbols; s++)
        if (counts[s])
            /* Count and symbol in one number: sorting by it orders equal counts by symbol, the same on every
             * machine. */
            keys[n++] = counts[s] << 9 | s;
    for (unsigned s = 0; n < 2; s++)
        if (!counts[s])
            keys[n++] = s;
    qsort(keys, n, sizeof *keys, pk_compare_keys);
    for (unsigned i = 0; i < n; i++)
        weights[i] = keys[i] >> 9;
    pk_count_lengths(weights, n, longest, lengths);

    memset(code->length, 0, symbols);
    for (unsigned l = longest, i = 0; l; l--)
        for (unsigned c = lengths[l]; c; c--)
            code->length[keys[i++] & 511] = (uint8_t)l;
    for (unsigned l = 1; l <= longest; l++)
        /* The canonical code of RFC 1951 §3.2.2: a reader makes it from the lengths alone. */
        next[l + 1] = (next[l] + lengths[l]) << 1;
    for (unsigned s = 0; s < symbols; s++) {
        /* Reversed: a Huffman code is packed from its most significant bit on, all else in deflate from its least
         * (RFC 1951 §3.1.1). */
        unsigned bits = code->length[s] ? next[code->length[s]]++ : 0, reversed = 0;
        for (unsigned l = code->length[s]; l; l--, bits >>= 1)
            reversed = reversed << 1 | (bits & 1);
        code->bits[s] = (uint16_t)reversed;
    }
}

#endif
