/* Bytes: loads that are the same on every machine, and how far two places agree.
 *
 * All of these read past what they report: up to 64 bytes forwards, up to 16 backwards. The deflater's memory has room
 * for that on both sides of the text (state.h). */
#ifndef PENSTOCK_DEFLATE_BYTES_H
#define PENSTOCK_DEFLATE_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#ifndef PK_INLINE
#define PK_INLINE static inline __attribute__((always_inline))
#endif

/* Eight bytes, the first lowest, on any machine. */
PK_INLINE uint64_t pk_load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

PK_INLINE void pk_store64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, 8);
}

/* How many of the next 16 bytes agree. */
PK_INLINE size_t pk_agree16(const uint8_t *a, const uint8_t *b)
{
#if defined(__SSE2__)
    __m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);
    return (size_t)__builtin_ctz(~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)));
#else
    uint64_t low = pk_load64(a) ^ pk_load64(b), high = pk_load64(a + 8) ^ pk_load64(b + 8);
    return low ? (size_t)__builtin_ctzll(low) >> 3 : high ? 8 + ((size_t)__builtin_ctzll(high) >> 3) : 16;
#endif
}

/* How many of the next 32 bytes agree. */
PK_INLINE size_t pk_agree32(const uint8_t *a, const uint8_t *b)
{
#if defined(__SSE2__)
    __m128i low = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)a), _mm_loadu_si128((const __m128i *)b));
    __m128i high = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(a + 16)), _mm_loadu_si128((const __m128i *)(b + 16)));
    uint32_t differ = ~((uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16);
    return differ ? (size_t)__builtin_ctz(differ) : 32;
#else
    size_t n = pk_agree16(a, b);
    return n < 16 ? n : 16 + pk_agree16(a + 16, b + 16);
#endif
}

/* All that agree before `end`; the first `n`, which may lie past it, are known to. */
PK_INLINE size_t pk_agree_all(const uint8_t *a, const uint8_t *b, size_t n, const uint8_t *end)
{
    size_t most = (size_t)(end - a);
    for (size_t more = 32; more == 32 && n < most; n += more)
        more = pk_agree32(a + n, b + n);
    return n < most ? n : most;
}

/* How many bytes before both places agree, at most `most`, and at most 8. */
PK_INLINE size_t pk_agree_left8(const uint8_t *a, const uint8_t *b, size_t most)
{
    uint64_t differ = pk_load64(a - 8) ^ pk_load64(b - 8);
    size_t n = differ ? (size_t)__builtin_clzll(differ) >> 3 : 8;
    return n < most ? n : most;
}

/* The same without the limit of 8. */
PK_INLINE size_t pk_agree_left(const uint8_t *a, const uint8_t *b, size_t most)
{
    size_t n = 0, more = 16;
    for (; more == 16 && n < most; n += more) {
#if defined(__SSE2__)
        __m128i x = _mm_loadu_si128((const __m128i *)(a - n - 16)), y = _mm_loadu_si128((const __m128i *)(b - n - 16));
        uint32_t differ = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) ^ 0xFFFF;
        more = differ ? (size_t)__builtin_clz(differ) - 16 : 16;
#else
        more = pk_agree_left8(a - n, b - n, 8);
        more += more == 8 ? pk_agree_left8(a - n - 8, b - n - 8, 8) : 0;
#endif
    }
    return n < most ? n : most;
}

#define PK_MIX 0x9E3779B185EBCA87u

/* A hash of `bits` bits of the first `bytes` bytes of eight. */
PK_INLINE uint32_t pk_hash_first(uint64_t eight, unsigned bytes, unsigned bits)
{
    /* Shifted up first, so that bytes behind the hashed ones have no say; the best mixed bits of the product are the
     * highest. */
    return (uint32_t)((eight << (64 - 8 * bytes)) * PK_MIX >> (64 - bits));
}

/* Whether any of n bytes is not ASCII. Reads nothing past them. */
static int pk_any_high(const uint8_t *p, size_t n)
{
    uint64_t all = 0;
    for (; n >= 8; n -= 8, p += 8) /* vectorises */
        all |= pk_load64(p);
    for (; n; n--, p++)
        all |= *p;
    return (all & 0x8080808080808080u) != 0;
}

#endif
