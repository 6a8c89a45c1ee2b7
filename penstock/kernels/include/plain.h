/* The plain beginning of a JSON string, passed over sixteen bytes at once. */
#ifndef PENSTOCK_PLAIN_H
#define PENSTOCK_PLAIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The first quote or backslash at or behind `at`, or a place before it: there is none in between. */
static inline size_t pl_plain_end(const uint8_t *text, size_t at, size_t bytes)
{
#ifdef __SSE2__
    for (; at + 16 <= bytes; at += 16) {
        __m128i c = _mm_loadu_si128((const __m128i *)(text + at));
        __m128i is_end = _mm_or_si128(_mm_cmpeq_epi8(c, _mm_set1_epi8('"')), _mm_cmpeq_epi8(c, _mm_set1_epi8('\\')));
        int mask = _mm_movemask_epi8(is_end);
        if (mask)
            return at + (size_t)__builtin_ctz((unsigned)mask);
    }
#else
    (void)text;
    (void)bytes;
#endif
    return at;
}

#endif
