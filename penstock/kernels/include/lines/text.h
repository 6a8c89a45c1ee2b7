/* Text: copying UTF-8 into a JSON string, escaped where RFC 8259 requires it; copying JSON text unchanged.
 *
 * Clean runs are tested and copied 16 bytes at a time. A wide load happens only where all its bytes lie inside the Arrow
 * buffer (`limit`), a wide store only where the output was reserved for it. */
#ifndef PENSTOCK_LINES_TEXT_H
#define PENSTOCK_LINES_TEXT_H

#include "lines/output.h"

/* A string of an Arrow buffer; `limit` is the end of what may be read from `at`. */
struct pk_text {
    const uint8_t *at;
    size_t bytes;
    const uint8_t *limit;
};

/* Worst case of escaping n bytes, quotes and slop included. */
#define PK_ESCAPED_BOUND(n) (6 * (size_t)(n) + 2 + PK_SLOP)

/* Longer strings are reserved for and escaped in stretches of this many bytes, so that the worst case stays small. */
#define PK_STRETCH 4096

/* Per byte: the 1 to 6 bytes it becomes, and in the last place how many. */
static uint8_t pk_escapes[256][8];

static void pk_text_init(void)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[][2] = {{'"', '"'}, {'\\', '\\'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}, {'\b', 'b'}, {'\f', 'f'}};
    for (int c = 0; c < 256; c++) {
        uint8_t *e = pk_escapes[c];
        if (c < 0x20) {
            memcpy(e, "\\u00", 4);
            e[4] = (uint8_t)hex[c >> 4];
            e[5] = (uint8_t)hex[c & 15];
            e[7] = 6;
        } else {
            e[0] = (uint8_t)c;
            e[7] = 1;
        }
    }
    for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++) {
        uint8_t *e = pk_escapes[(uint8_t)shorts[i][0]];
        e[0] = '\\';
        e[1] = (uint8_t)shorts[i][1];
        e[7] = 2;
    }
}

PK_INLINE uint8_t *pk_put_escaped_byte(uint8_t *o, uint8_t c)
{
    memcpy(o, pk_escapes[c], 8);
    return o + pk_escapes[c][7];
}

static uint8_t *pk_escape_bytes(uint8_t *o, const uint8_t *s, const uint8_t *e)
{
    while (s < e)
        o = pk_put_escaped_byte(o, *s++);
    return o;
}

#if defined(__SSE2__)
#include <emmintrin.h>
typedef __m128i pk_wide;
typedef uint32_t pk_mask; /* one bit a byte */
#define PK_MASK_SHIFT 0
PK_INLINE pk_wide pk_load(const uint8_t *s) { return _mm_loadu_si128((const __m128i *)s); }
PK_INLINE void pk_store(uint8_t *o, pk_wide v) { _mm_storeu_si128((__m128i *)o, v); }
PK_INLINE pk_mask pk_control(pk_wide v)
{
    return (pk_mask)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v));
}
PK_INLINE pk_mask pk_unclean(pk_wide v)
{
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"')), back = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
    return (pk_mask)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, back), control));
}
PK_INLINE pk_wide pk_drop4(pk_wide v) { return _mm_srli_si128(v, 4); }
#elif defined(__ARM_NEON) && defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
typedef uint8x16_t pk_wide;
typedef uint64_t pk_mask; /* four bits a byte */
#define PK_MASK_SHIFT 2
PK_INLINE pk_wide pk_load(const uint8_t *s) { return vld1q_u8(s); }
PK_INLINE void pk_store(uint8_t *o, pk_wide v) { vst1q_u8(o, v); }
PK_INLINE pk_mask pk_narrow(uint8x16_t m)
{
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(m), 4)), 0);
}
PK_INLINE pk_mask pk_control(pk_wide v) { return pk_narrow(vcltq_u8(v, vdupq_n_u8(0x20))); }
PK_INLINE pk_mask pk_unclean(pk_wide v)
{
    uint8x16_t marks = vorrq_u8(vceqq_u8(v, vdupq_n_u8('"')), vceqq_u8(v, vdupq_n_u8('\\')));
    return pk_narrow(vorrq_u8(marks, vcltq_u8(v, vdupq_n_u8(0x20))));
}
PK_INLINE pk_wide pk_drop4(pk_wide v) { return vextq_u8(v, vdupq_n_u8(0), 4); }
#else
#define PK_SCALAR 1
#endif

#ifndef PK_SCALAR
PK_INLINE pk_mask pk_first(pk_mask mask, size_t bytes)
{
    return bytes < 16 ? mask & (((pk_mask)1 << (bytes << PK_MASK_SHIFT)) - 1) : mask;
}
/* The mask without its first mark. */
PK_INLINE pk_mask pk_rest(pk_mask mask)
{
#if PK_MASK_SHIFT
    return mask & ~((pk_mask)15 << (__builtin_ctzll(mask) & ~3));
#else
    return mask & (mask - 1);
#endif
}
PK_INLINE size_t pk_position(pk_mask mask)
{
    return (size_t)__builtin_ctzll(mask) >> PK_MASK_SHIFT;
}
#endif

/* Escape [s, s + n). Reserved: PK_ESCAPED_BOUND(n). Readable: up to `limit`, which is not before s + n. */
PK_INLINE uint8_t *pk_escape(uint8_t *o, const uint8_t *s, size_t n, const uint8_t *limit)
{
    const uint8_t *e = s + n;
#ifdef PK_SCALAR
    (void)limit;
#else
    while (PK_LIKELY(limit - s >= 32)) {
        pk_wide v = pk_load(s);
        pk_store(o, v);
        pk_mask mask = pk_unclean(v);
        size_t left = (size_t)(e - s), n = left < 16 ? left : 16, from = 0;
        mask = pk_first(mask, left);
        /* Escapes of one block depend on each other by `o` alone: dense ones (JSON in a message) cost half as much so. */
        while (mask) {
            size_t clean = pk_position(mask);
            mask = pk_rest(mask);
            o = pk_put_escaped_byte(o + (clean - from), s[clean]);
            from = clean + 1;
            pk_store(o, pk_load(s + from)); /* within 16 + 16 of s */
        }
        o += n - from;
        s += n;
        if (left <= 16)
            return o;
    }
#endif
    return pk_escape_bytes(o, s, e);
}

static __attribute__((noinline)) uint8_t *pk_put_long_string(struct pk_output *out, uint8_t *o, struct pk_text text, size_t rest)
{
    o = pk_reserve(out, o, 1);
    if (!o)
        return NULL;
    *o++ = '"';
    while (text.bytes) {
        size_t n = text.bytes < PK_STRETCH ? text.bytes : PK_STRETCH;
        o = pk_reserve(out, o, PK_ESCAPED_BOUND(n) + rest);
        if (!o)
            return NULL;
        o = pk_escape(o, text.at, n, text.limit);
        text.at += n;
        text.bytes -= n;
    }
    *o++ = '"'; /* room: the bound of the last stretch counts two quotes */
    return o;
}

/* A whole JSON string with its quotes. Reserves for itself, and leaves `rest` bytes reserved behind it. */
PK_INLINE uint8_t *pk_put_string(struct pk_output *out, uint8_t *o, struct pk_text text, size_t rest)
{
    if (PK_UNLIKELY(text.bytes > PK_STRETCH))
        return pk_put_long_string(out, o, text, rest);
    o = pk_reserve(out, o, PK_ESCAPED_BOUND(text.bytes) + rest);
    if (PK_UNLIKELY(!o))
        return NULL;
    *o++ = '"';
    o = pk_escape(o, text.at, text.bytes, text.limit);
    *o++ = '"';
    return o;
}

/* Text that is JSON already. Reserves for itself, and leaves `rest` bytes reserved behind it. */
static uint8_t *pk_put_raw(struct pk_output *out, uint8_t *o, struct pk_text text, size_t rest)
{
    if (!text.bytes)
        return pk_fail(out, PK_BAD_JSON);
    o = pk_reserve(out, o, text.bytes + PK_SLOP + rest);
    if (!o)
        return NULL;
    memcpy(o, text.at, text.bytes);
    uint8_t least = 0xff; /* vectorises */
    for (size_t i = 0; i < text.bytes; i++)
        least = text.at[i] < least ? text.at[i] : least;
    if (least < 0x20)
        return pk_fail(out, PK_BAD_JSON);
    return o + text.bytes;
}

#endif
