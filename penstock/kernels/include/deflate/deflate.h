/* Deflate for lines that resemble one another: ISA-L's trade, better matches for a little more time.
 *
 * A block of lines is taken apart into matches and the literals between them, then written with codes made for it.
 * Positions are found again by a hash of 7 bytes: shorter matches cost about what their literals do, and the newest
 * place that agrees in 7 bytes mostly agrees in many more. The output depends on nothing but the lines: not on the
 * processor, and not on how they were cut when they came. */
#ifndef PENSTOCK_DEFLATE_H
#define PENSTOCK_DEFLATE_H

#include <stddef.h>

#include "deflate/codes.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

#define PK_WINDOW 32768
#define PK_BLOCK 262144 /* bytes of a block: large enough that its codes cost nothing, and in cache */
#define PK_HUGE_PAGE 2097152
#define PK_HASH_BITS 15
#define PK_HASHED_BYTES 7
#define PK_INSERT_STEP 12    /* inside a match every so many positions are remembered */
#define PK_TAIL 40           /* the last bytes of a block are literals, so that wide loads stay inside */
#define PK_MATCH_MAX 258     /* longest match that deflate knows, */
#define PK_MATCH_MIN 3       /* and the shortest */
#define PK_END 256           /* symbol: end of block */
#define PK_LENGTHS 257       /* symbol of the first length */
#define PK_LITERAL_SYMBOLS 286
#define PK_DISTANCE_SYMBOLS 30
#define PK_LITERAL_BITS 14 /* longest code: four and the rest of a byte fit 64 bits */
#define PK_DISTANCE_BITS 15

/* Behind the window's oldest byte lie as many bytes as the remembered positions, 16 bits wide, can point back: whatever
 * one says, what is read there is ours. */
#define PK_BEFORE 65536
#define PK_BEHIND 16 /* and so many bytes behind the block may be read, whatever they are */

/* Literals, then a match; the last of a block has none (length 0). Of a match longer than PK_MATCH_MAX one each. */
struct pk_step {
    uint32_t literals;
    uint16_t length;
    uint16_t back; /* distance - 1 */
};

struct pk_deflate {
    uint16_t newest[1 << PK_HASH_BITS]; /* position (its low 16 bits) at which the hash was last seen */
    uint8_t lines[PK_BEFORE + PK_WINDOW + PK_BLOCK + PK_BEHIND];
    size_t begin;    /* of the block at hand; before it, from PK_BEFORE on, the segment's last up to PK_WINDOW bytes */
    size_t end;      /* of the block so far */
    uint16_t shift;  /* position of lines[0] */
    uint64_t bits;   /* not yet written, */
    unsigned n_bits; /* at most 7 between calls */
    size_t n_steps;
    struct pk_step steps[PK_BLOCK / PK_HASHED_BYTES + PK_BLOCK / (PK_MATCH_MAX - PK_MATCH_MIN) + 2];
    uint32_t literal_counts[PK_LITERAL_SYMBOLS];
    uint32_t distance_counts[PK_DISTANCE_SYMBOLS];
    struct pk_code literals, distances;
};

/* Most bytes that a block or a flush writes; wide stores included. Blocks that do not shrink are stored. */
#define PK_BLOCK_BOUND (PK_BLOCK + PK_BLOCK / 65535 * 5 + 1024)

static uint8_t pk_length_symbol[256]; /* of length - 3 */
static uint8_t pk_length_base[29], pk_length_extra[29];
static uint16_t pk_distance_base[30];
static uint8_t pk_distance_extra[30];

static void pk_deflate_init(void)
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

/* Eight bytes, the first lowest, on any machine. */
static inline uint64_t pk_load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint8_t *pk_store64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, 8);
    return p;
}

static inline uint32_t pk_hash(uint64_t eight)
{
    return (uint32_t)((eight << (64 - 8 * PK_HASHED_BYTES)) * 0x9E3779B185EBCA87u >> (64 - PK_HASH_BITS));
}

/* How many bytes agree; reads up to 32 beyond `end` - 1, and counts none of them. */
static inline size_t pk_agreeing(const uint8_t *a, const uint8_t *b, const uint8_t *end)
{
    const uint8_t *start = a;
#if defined(__SSE2__)
    __m128i low = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)b));
    __m128i high = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + 16)), _mm_loadu_si128((const __m128i *)(b + 16)));
    uint32_t differ = ~((uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16);
    if (differ)
        return (size_t)__builtin_ctz(differ);
    a += 32;
    b += 32;
#endif
    for (; a + 8 <= end; a += 8, b += 8) {
        uint64_t differ64 = pk_load64(a) ^ pk_load64(b);
        if (differ64)
            return (size_t)(a - start) + ((size_t)__builtin_ctzll(differ64) >> 3);
    }
    while (a < end && *a == *b) {
        a++;
        b++;
    }
    return (size_t)(a - start);
}

static inline unsigned pk_distance_symbol(unsigned back)
{
    if (back < 2)
        return back;
    unsigned top = 31u - (unsigned)__builtin_clz(back);
    return 2 * top + (back >> (top - 1) & 1);
}

static inline struct pk_step *pk_put_step(struct pk_deflate *d, struct pk_step *step, size_t literals, size_t length, unsigned back)
{
    step->literals = (uint32_t)literals;
    step->length = (uint16_t)length;
    step->back = (uint16_t)back;
    d->literal_counts[PK_LENGTHS + pk_length_symbol[length - PK_MATCH_MIN]]++;
    d->distance_counts[pk_distance_symbol(back)]++;
    return step + 1;
}

/* Takes the block apart. Looks at two positions at once, and of two matches takes the longer; that is then widened to the
 * left, where the literals before it agree. */
static void pk_take_apart(struct pk_deflate *d)
{
    const uint8_t *base = d->lines, *oldest = base + PK_BEFORE, *end = base + d->end;
    const uint8_t *p = base + d->begin, *done = p, *stop = d->end - d->begin > PK_TAIL ? end - PK_TAIL : p;
    uint16_t *newest = d->newest;
    uint16_t shift = d->shift;
    struct pk_step *step = d->steps;
    const unsigned unhashed = 64 - 8 * PK_HASHED_BYTES;

    memset(d->literal_counts, 0, sizeof d->literal_counts);
    memset(d->distance_counts, 0, sizeof d->distance_counts);
    while (p < stop) {
        uint64_t this = pk_load64(p), next = pk_load64(p + 1);
        uint16_t at = (uint16_t)((size_t)(p - base) + shift);
        uint32_t hash = pk_hash(this), next_hash = pk_hash(next);
        unsigned distance = (uint16_t)(at - newest[hash]);
        newest[hash] = at;
        unsigned next_distance = (uint16_t)(at + 1 - newest[next_hash]);
        newest[next_hash] = (uint16_t)(at + 1);
        uint64_t differ = pk_load64(p - distance) ^ this, next_differ = pk_load64(p + 1 - next_distance) ^ next;
        int found = (differ << unhashed == 0) & (distance - 1 < PK_WINDOW);
        int next_found = (next_differ << unhashed == 0) & (next_distance - 1 < PK_WINDOW);
        if (__builtin_expect(!(found | next_found), 1)) {
            d->literal_counts[this & 255]++;
            d->literal_counts[next & 255]++;
            p += 2;
            continue;
        }
        const uint8_t *match = p - distance;
        size_t length = found ? pk_agreeing(p, match, end) : 0;
        if ((!found) | (next_found & (distance != next_distance))) {
            size_t next_length = pk_agreeing(p + 1, p + 1 - next_distance, end);
            if (next_length > length) {
                d->literal_counts[this & 255]++;
                p++;
                distance = next_distance;
                match = p - distance;
                length = next_length;
            }
        }
        size_t wider = (size_t)__builtin_clzll((pk_load64(p - 8) ^ pk_load64(match - 8)) | 1) >> 3;
        if (wider > (size_t)(p - done))
            wider = (size_t)(p - done);
        if (wider > (size_t)(match - oldest))
            wider = (size_t)(match - oldest);
        for (; wider; wider--, length++)
            d->literal_counts[*--p]--;

        const uint8_t *behind = p + length;
        for (const uint8_t *inside = p + 3, *last = behind < stop ? behind : stop; inside < last; inside += PK_INSERT_STEP)
            newest[pk_hash(pk_load64(inside))] = (uint16_t)((size_t)(inside - base) + shift);
        size_t literals = (size_t)(p - done);
        for (; length > PK_MATCH_MAX; literals = 0) {
            size_t piece = length >= PK_MATCH_MAX + PK_MATCH_MIN ? PK_MATCH_MAX : length - PK_MATCH_MIN;
            step = pk_put_step(d, step, literals, piece, distance - 1);
            length -= piece;
        }
        step = pk_put_step(d, step, literals, length, distance - 1);
        p = done = behind;
    }
    for (; p < end; p++)
        d->literal_counts[*p]++;
    step->literals = (uint32_t)(end - done);
    step->length = step->back = 0;
    d->n_steps = (size_t)(step - d->steps) + 1;
    d->literal_counts[PK_END] = 1;
}

#define PK_PUT(value, count) (bits |= (uint64_t)(value) << n_bits, n_bits += (count))
#define PK_SPILL() (out = pk_store64(out, bits) + (n_bits >> 3), bits >>= n_bits & ~7u, n_bits &= 7)

/* The code lengths of both codes, run-length coded and themselves coded (RFC 1951, 3.2.7). */
static uint8_t *pk_put_codes(struct pk_deflate *d, uint8_t *out)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    static const uint8_t extra[19] = {[16] = 2, [17] = 3, [18] = 7};
    uint8_t all[PK_LITERAL_SYMBOLS + PK_DISTANCE_SYMBOLS], symbols[sizeof all], rests[sizeof all];
    uint32_t counts[19] = {0};
    struct pk_code code;
    unsigned n_literals = PK_LITERAL_SYMBOLS, n_distances = PK_DISTANCE_SYMBOLS, n_codes = 19, n = 0;
    uint64_t bits = d->bits;
    unsigned n_bits = d->n_bits;

    while (n_literals > PK_LENGTHS && !d->literals.length[n_literals - 1])
        n_literals--;
    while (n_distances > 1 && !d->distances.length[n_distances - 1])
        n_distances--;
    memcpy(all, d->literals.length, n_literals);
    memcpy(all + n_literals, d->distances.length, n_distances);
    for (unsigned i = 0, total = n_literals + n_distances; i < total;) {
        unsigned run = 1, symbol = all[i], rest = 0;
        while (i + run < total && all[i + run] == all[i] && run < 138)
            run++;
        if (!all[i] && run >= 3) {
            symbol = run < 11 ? 17 : 18;
            rest = run < 11 ? run - 3 : run - 11;
        } else if (i && all[i] == all[i - 1] && run >= 3) {
            run = run < 6 ? run : 6;
            symbol = 16;
            rest = run - 3;
        } else {
            run = 1;
        }
        symbols[n] = (uint8_t)symbol;
        rests[n++] = (uint8_t)rest;
        counts[symbol]++;
        i += run;
    }
    pk_code_make(&code, counts, 19, 7);
    while (n_codes > 4 && !code.length[order[n_codes - 1]])
        n_codes--;

    PK_PUT(4, 3); /* not the last block; codes of its own */
    PK_PUT(n_literals - PK_LENGTHS, 5);
    PK_PUT(n_distances - 1, 5);
    PK_PUT(n_codes - 4, 4);
    for (unsigned i = 0; i < n_codes; i++) {
        PK_PUT(code.length[order[i]], 3);
        PK_SPILL();
    }
    for (unsigned i = 0; i < n; i++) {
        PK_PUT(code.bits[symbols[i]], code.length[symbols[i]]);
        PK_PUT(rests[i], extra[symbols[i]]);
        PK_SPILL();
    }
    d->bits = bits;
    d->n_bits = n_bits;
    return out;
}

/* The block, coded. Between two spills at most 7 + 4 x 14 or 7 + 14 + 5 + 15 + 13 bits. */
static uint8_t *pk_put_coded(struct pk_deflate *d, uint8_t *out)
{
    uint32_t literal[256], length[256]; /* code, and its extra bits; from bit 24 on how many */
    static const uint32_t masks[8] = {0, 0, 0, 0, ~0u, ~0u, ~0u, ~0u};
    const uint8_t *in = d->lines + d->begin;
    out = pk_put_codes(d, out);
    uint64_t bits = d->bits;
    unsigned n_bits = d->n_bits;

    for (unsigned i = 0; i < 256; i++) {
        unsigned symbol = pk_length_symbol[i], size = d->literals.length[PK_LENGTHS + symbol];
        literal[i] = d->literals.bits[i] | (uint32_t)d->literals.length[i] << 24;
        length[i] = d->literals.bits[PK_LENGTHS + symbol] | (i - pk_length_base[symbol]) << size |
                    (size + pk_length_extra[symbol]) << 24;
    }
#define PK_PUT_PACKED(packed) PK_PUT((packed) & 0xFFFFFF, (packed) >> 24)
    for (const struct pk_step *step = d->steps, *last = step + d->n_steps; step < last; step++) {
        uint32_t left = step->literals;
        for (; left > 4; left -= 4, in += 4) {
            PK_PUT_PACKED(literal[in[0]]);
            PK_PUT_PACKED(literal[in[1]]);
            PK_PUT_PACKED(literal[in[2]]);
            PK_PUT_PACKED(literal[in[3]]);
            PK_SPILL();
        }
        /* The last 0 to 4 without a branch, which nobody could predict: those too many are masked away. */
        const uint32_t *kept = masks + left;
        PK_PUT_PACKED(literal[in[0]] & kept[3]);
        PK_PUT_PACKED(literal[in[1]] & kept[2]);
        PK_PUT_PACKED(literal[in[2]] & kept[1]);
        PK_PUT_PACKED(literal[in[3]] & kept[0]);
        PK_SPILL();
        in += left;
        if (step->length) {
            unsigned symbol = pk_distance_symbol(step->back);
            PK_PUT_PACKED(length[step->length - PK_MATCH_MIN]);
            PK_PUT(d->distances.bits[symbol], d->distances.length[symbol]);
            PK_PUT(step->back - pk_distance_base[symbol], pk_distance_extra[symbol]);
            PK_SPILL();
            in += step->length;
        }
    }
    PK_PUT(d->literals.bits[PK_END], d->literals.length[PK_END]);
    PK_SPILL();
    d->bits = bits;
    d->n_bits = n_bits;
    return out;
}

/* A stored piece of at most 65,535 bytes; empty, it is the full flush that every segment ends with. */
static uint8_t *pk_put_stored(struct pk_deflate *d, uint8_t *out, const uint8_t *in, size_t size)
{
    uint64_t bits = d->bits;
    unsigned n_bits = d->n_bits;
    PK_PUT(0, 3);
    n_bits = (n_bits + 7) & ~7u;
    PK_PUT(size | (size ^ 0xFFFF) << 16, 32);
    PK_SPILL();
    memcpy(out, in, size);
    d->bits = 0;
    d->n_bits = 0;
    return out + size;
}

/* Bits of the block's steps in its codes; the codes themselves are bounded by PK_BLOCK_BOUND. */
static uint64_t pk_coded_bits(const struct pk_deflate *d)
{
    uint64_t sum = 0;
    for (unsigned s = 0; s < PK_LITERAL_SYMBOLS; s++) {
        unsigned extra = s >= PK_LENGTHS ? pk_length_extra[s - PK_LENGTHS] : 0;
        sum += (uint64_t)d->literal_counts[s] * (d->literals.length[s] + extra);
    }
    for (unsigned s = 0; s < PK_DISTANCE_SYMBOLS; s++)
        sum += (uint64_t)d->distance_counts[s] * (d->distances.length[s] + pk_distance_extra[s]);
    return sum;
}

/* A state, to be freed with free(); NULL without memory. It is 0.7 MiB, read and written all over; in one huge page, where
 * the system has them, that is 4 % faster (misses in the table of pages). */
static struct pk_deflate *pk_deflate_new(void)
{
    size_t size = (sizeof(struct pk_deflate) + PK_HUGE_PAGE - 1) / PK_HUGE_PAGE * PK_HUGE_PAGE;
    struct pk_deflate *d = aligned_alloc(PK_HUGE_PAGE, size);
#if defined(MADV_HUGEPAGE)
    if (d)
        madvise(d, size, MADV_HUGEPAGE);
#endif
    if (d)
        memset(d, 0, sizeof *d);
    return d;
}

/* Begins a segment: nothing before it is known. The remembered positions all lie too far back, and as they grow old and
 * seem to come near again, what they then point at is the segment's own. */
static void pk_deflate_begin(struct pk_deflate *d)
{
    d->begin = d->end = PK_BEFORE;
    d->bits = 0;
    d->n_bits = 0;
    d->shift = 0;
    uint16_t far = (uint16_t)(PK_BEFORE + d->shift - 1 - PK_WINDOW);
    for (unsigned i = 0; i < 1 << PK_HASH_BITS; i++)
        d->newest[i] = far;
}

/* Takes up to a block of lines; how many bytes it took. When `d->end - d->begin` is PK_BLOCK the block must be written. */
static size_t pk_deflate_take(struct pk_deflate *d, const uint8_t *in, size_t size)
{
    size_t room = PK_BLOCK - (d->end - d->begin);
    if (size > room)
        size = room;
    memcpy(d->lines + d->end, in, size);
    d->end += size;
    return size;
}

/* Writes the block at hand into at least PK_BLOCK_BOUND bytes, and moves the window on. */
static uint8_t *pk_deflate_block(struct pk_deflate *d, uint8_t *out)
{
    size_t size = d->end - d->begin;
    pk_take_apart(d);
    pk_code_make(&d->literals, d->literal_counts, PK_LITERAL_SYMBOLS, PK_LITERAL_BITS);
    pk_code_make(&d->distances, d->distance_counts, PK_DISTANCE_SYMBOLS, PK_DISTANCE_BITS);
    uint8_t *start = out;
    uint64_t bits = d->bits;
    unsigned n_bits = d->n_bits;
    int coded = pk_coded_bits(d) < 8 * (uint64_t)size;
    if (coded) {
        out = pk_put_coded(d, start);
        coded = (size_t)(out - start) < size;
    }
    if (!coded) { /* not even smaller: stored unchanged */
        out = start;
        d->bits = bits;
        d->n_bits = n_bits;
        for (size_t at = 0, piece; at < size; at += piece) {
            piece = size - at < 65535 ? size - at : 65535;
            out = pk_put_stored(d, out, d->lines + d->begin + at, piece);
        }
    }
    d->begin = d->end;
    if (d->begin > PK_BEFORE + PK_WINDOW) {
        size_t gone = d->begin - PK_BEFORE - PK_WINDOW;
        memmove(d->lines + PK_BEFORE, d->lines + PK_BEFORE + gone, PK_WINDOW);
        d->shift = (uint16_t)(d->shift + gone);
        d->begin = d->end = PK_BEFORE + PK_WINDOW;
    }
    return out;
}

/* Ends the segment on a whole byte with an empty stored block. */
static uint8_t *pk_deflate_flush(struct pk_deflate *d, uint8_t *out)
{
    return pk_put_stored(d, out, d->lines, 0);
}

#endif
