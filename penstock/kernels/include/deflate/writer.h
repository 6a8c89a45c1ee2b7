/* The bits that leave: literals, matches, the codes of a block, stored blocks (RFC 1951). */
#ifndef PENSTOCK_DEFLATE_WRITER_H
#define PENSTOCK_DEFLATE_WRITER_H

#include "deflate/state.h"

/* Bits on their way out; at most 57 may be put between two spills. Copied into locals so that it lives in registers. */
struct pk_writer {
    uint8_t *out;
    uint64_t bits;
    unsigned n_bits;
};

static uint8_t pk_length_symbol[256]; /* of length - 3 */
static uint8_t pk_length_base[29], pk_length_extra[29];
static uint16_t pk_distance_base[30];
static uint8_t pk_distance_extra[30];

static void pk_writer_init(void)
{
    unsigned length = 0, distance = 0;
    for (unsigned s = 0; s < 28; s++) {
        pk_length_base[s] = (uint8_t)length;
        pk_length_extra[s] = (uint8_t)(s < 8 ? 0 : (s - 4) / 4);
        for (unsigned i = 0; i < 1u << pk_length_extra[s] && length < 256; i++)
            pk_length_symbol[length++] = (uint8_t)s;
    }
    pk_length_symbol[255] = 28; /* 258 has a symbol of its own */
    pk_length_base[28] = 255;
    for (unsigned s = 0; s < 30; s++) {
        pk_distance_base[s] = (uint16_t)distance;
        pk_distance_extra[s] = (uint8_t)(s < 4 ? 0 : (s - 2) / 2);
        distance += 1u << pk_distance_extra[s];
    }
}

PK_INLINE void pk_put(struct pk_writer *w, uint64_t value, unsigned count)
{
    w->bits |= value << w->n_bits;
    w->n_bits += count;
}

/* A code with its extra bits; from bit 24 on how many. */
PK_INLINE void pk_put_packed(struct pk_writer *w, uint32_t packed) { pk_put(w, packed & 0xFFFFFF, packed >> 24); }

PK_INLINE void pk_spill(struct pk_writer *w)
{
    /* Eight bytes always, of which n_bits / 8 count: no loop, and the reserve covers the rest. */
    pk_store64(w->out, w->bits);
    w->out += w->n_bits >> 3;
    w->bits >>= w->n_bits & ~7u;
    w->n_bits &= 7;
}

PK_INLINE unsigned pk_distance_symbol(unsigned back)
{
    unsigned top = 31u - (unsigned)__builtin_clz(back | 1);
    return back < 2 ? back : 2 * top + (back >> (top - 1) & 1);
}

PK_INLINE void pk_put_literals(struct pk_deflate *d, struct pk_writer *w, const uint8_t *from, const uint8_t *to)
{
    /* All bits or none. How many literals are left over from a four nobody can predict: four are always put, those too
     * many without bits. That is faster than a branch. */
    static const uint32_t masks[8] = {0, 0, 0, 0, ~0u, ~0u, ~0u, ~0u};
    size_t left = (size_t)(to - from);
    for (; left > 4; left -= 4, from += 4) {
        for (int i = 0; i < 4; i++) {
            pk_put_packed(w, d->literal[from[i]]);
            d->literal_counts[from[i]]++;
        }
        pk_spill(w);
    }
    const uint32_t *kept = masks + left;
    for (int i = 0; i < 4; i++) {
        pk_put_packed(w, d->literal[from[i]] & kept[3 - i]);
        d->literal_counts[from[i]] += kept[3 - i] & 1;
    }
    pk_spill(w);
}

/* The literals from `done` to `at`, then a match of 3 bytes or more; what follows it. */
PK_INLINE const uint8_t *pk_put_match(struct pk_deflate *d, struct pk_writer *w, const uint8_t *done, const uint8_t *at,
    size_t length, unsigned distance)
{
    unsigned symbol = pk_distance_symbol(distance - 1);
    pk_put_literals(d, w, done, at);
    for (size_t rest = length, piece; rest; rest -= piece) {
        /* Never leaves 1 or 2 bytes over, which no match could say: 259 becomes 256 and 3. */
        piece = rest <= PK_MATCH_MAX ? rest : rest >= PK_MATCH_MAX + PK_MATCH_MIN ? PK_MATCH_MAX : rest - PK_MATCH_MIN;
        pk_put_packed(w, d->length[piece - PK_MATCH_MIN]);
        pk_put_packed(w, d->distance[symbol]);
        pk_put(w, distance - 1 - pk_distance_base[symbol], pk_distance_extra[symbol]);
        pk_spill(w);
        d->literal_counts[PK_LENGTHS + pk_length_symbol[piece - PK_MATCH_MIN]]++;
        d->distance_counts[symbol]++;
    }
    return at + length;
}

/* Codes by the counts at hand, which start again from zero. */
static void pk_make_codes(struct pk_deflate *d)
{
    d->literal_counts[PK_END] = 1;
    pk_code_make(&d->literals, d->literal_counts, PK_LITERAL_SYMBOLS, PK_LITERAL_BITS);
    pk_code_make(&d->distances, d->distance_counts, PK_DISTANCE_SYMBOLS, PK_DISTANCE_BITS);
    for (unsigned i = 0; i < 256; i++) {
        unsigned symbol = pk_length_symbol[i], size = d->literals.length[PK_LENGTHS + symbol];
        d->literal[i] = d->literals.bits[i] | (uint32_t)d->literals.length[i] << 24;
        d->length[i] = d->literals.bits[PK_LENGTHS + symbol] | (i - pk_length_base[symbol]) << size |
                       (size + pk_length_extra[symbol]) << 24;
    }
    for (unsigned s = 0; s < PK_DISTANCE_SYMBOLS; s++)
        d->distance[s] = d->distances.bits[s] | (uint32_t)d->distances.length[s] << 24;
    memset(d->literal_counts, 0, sizeof d->literal_counts);
    memset(d->distance_counts, 0, sizeof d->distance_counts);
}

/* Code lengths, run-length coded: symbols of 0 to 18, each with the bits that follow it. How many. */
static unsigned pk_pack_lengths(const uint8_t *lengths, unsigned n, uint8_t *symbols, uint8_t *rests)
{
    unsigned out = 0;
    for (unsigned i = 0, run; i < n; i += run) {
        unsigned symbol = lengths[i], rest = 0, most = symbol ? 6 : 138;
        for (run = 1; i + run < n && lengths[i + run] == lengths[i] && run < most; run++)
            continue;
        /* Symbol 16 repeats the length before it, so the first of a run is written itself; 17 and 18 are zeros. */
        if (run < 3 || (symbol && (!i || symbol != lengths[i - 1]))) {
            run = 1;
        } else {
            symbol = symbol ? 16 : run < 11 ? 17 : 18;
            rest = run - (symbol == 18 ? 11 : 3);
        }
        symbols[out] = (uint8_t)symbol;
        rests[out++] = (uint8_t)rest;
    }
    return out;
}

/* Begins a block: the code lengths of both codes, packed and themselves coded (RFC 1951, 3.2.7). */
static void pk_put_codes(const struct pk_deflate *d, struct pk_writer *w)
{
    /* The order of RFC 1951 §3.2.7: lengths that are rarely used come last and are left out. */
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    static const uint8_t extra[19] = {[16] = 2, [17] = 3, [18] = 7};
    uint8_t all[PK_LITERAL_SYMBOLS + PK_DISTANCE_SYMBOLS], symbols[sizeof all], rests[sizeof all];
    uint32_t counts[19] = {0};
    struct pk_code code;
    unsigned n_literals = PK_LITERAL_SYMBOLS, n_distances = PK_DISTANCE_SYMBOLS, n_codes = 19;

    while (n_literals > PK_LENGTHS && !d->literals.length[n_literals - 1])
        n_literals--;
    while (n_distances > 1 && !d->distances.length[n_distances - 1])
        n_distances--;
    memcpy(all, d->literals.length, n_literals);
    memcpy(all + n_literals, d->distances.length, n_distances);
    unsigned n = pk_pack_lengths(all, n_literals + n_distances, symbols, rests);
    for (unsigned i = 0; i < n; i++)
        counts[symbols[i]]++;
    pk_code_make(&code, counts, 19, 7);
    while (n_codes > 4 && !code.length[order[n_codes - 1]])
        n_codes--;

    pk_put(w, 4, 3); /* not the last block; codes of its own */
    pk_put(w, n_literals - PK_LENGTHS, 5);
    pk_put(w, n_distances - 1, 5);
    pk_put(w, n_codes - 4, 4);
    for (unsigned i = 0; i < n_codes; i++) {
        pk_put(w, code.length[order[i]], 3);
        pk_spill(w);
    }
    for (unsigned i = 0; i < n; i++) {
        pk_put(w, code.bits[symbols[i]], code.length[symbols[i]]);
        pk_put(w, rests[i], extra[symbols[i]]);
        pk_spill(w);
    }
}

/* A stored piece of at most 65,535 bytes; empty, it is the full flush that every segment ends with. */
static void pk_put_stored(struct pk_writer *w, const uint8_t *in, size_t size)
{
    pk_put(w, 0, 3);
    w->n_bits = (w->n_bits + 7) & ~7u;
    /* LEN, and its complement NLEN. */
    pk_put(w, size | (size ^ 0xFFFF) << 16, 32);
    pk_spill(w);
    memcpy(w->out, in, size);
    w->out += size;
}

#endif
