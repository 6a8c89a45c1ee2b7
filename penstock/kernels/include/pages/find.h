/* Looks for an ASCII literal in a text, without regard to case. */
#ifndef PENSTOCK_PAGES_FIND_H
#define PENSTOCK_PAGES_FIND_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* A literal of 2 bytes or more, in lower case. */
struct pg_literal {
    const uint8_t *text;
    size_t size;
    size_t first, second; /* places of its two rarest letters */
};

static void pg_literal_set(struct pg_literal *literal, const uint8_t *text, size_t size)
{
    static const char common[] = "etaoinsrhldcu mfpgwybv0123456789kxjqz"; /* the most frequent first */
    int best = -1, next = -1;
    literal->text = text;
    literal->size = size;
    literal->first = literal->second = 0;
    for (size_t i = 0; i < size; i++) {
        const char *place = memchr(common, text[i], sizeof common - 1);
        int rarity = place ? (int)(place - common) : (int)sizeof common;
        if (rarity > best) {
            next = best;
            literal->second = literal->first;
            best = rarity;
            literal->first = i;
        } else if (rarity > next) {
            next = rarity;
            literal->second = i;
        }
    }
}

static int pg_is_at(const struct pg_literal *literal, const uint8_t *text)
{
    for (size_t i = 0; i < literal->size; i++) {
        uint8_t byte = text[i];
        if (byte >= 'A' && byte <= 'Z')
            byte |= 32;
        if (byte != literal->text[i])
            return 0;
    }
    return 1;
}

/* Where the text has the literal first, or NULL. These read up to 32 bytes behind the text. */
static const uint8_t *pg_find_bytes(const struct pg_literal *literal, const uint8_t *text, size_t size)
{
    for (size_t at = 0; at + literal->size <= size; at++)
        if (pg_is_at(literal, text + at))
            return text + at;
    return NULL;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static const uint8_t *pg_find_avx2(const struct pg_literal *literal, const uint8_t *text, size_t size)
{
    if (size < literal->size)
        return NULL;
    size_t last = size - literal->size;
    const __m256i lower = _mm256_set1_epi8(32);
    const __m256i one = _mm256_or_si256(_mm256_set1_epi8((char)literal->text[literal->first]), lower);
    const __m256i two = _mm256_or_si256(_mm256_set1_epi8((char)literal->text[literal->second]), lower);
    for (size_t at = 0; at <= last; at += 32) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(text + at + literal->first));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(text + at + literal->second));
        __m256i same = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_or_si256(a, lower), one),
                                        _mm256_cmpeq_epi8(_mm256_or_si256(b, lower), two));
        for (unsigned hits = (unsigned)_mm256_movemask_epi8(same); hits; hits &= hits - 1) {
            size_t place = at + (size_t)__builtin_ctz(hits);
            if (place <= last && pg_is_at(literal, text + place))
                return text + place;
        }
    }
    return NULL;
}

static const uint8_t *pg_find(const struct pg_literal *literal, const uint8_t *text, size_t size)
{
    return __builtin_cpu_supports("avx2") ? pg_find_avx2(literal, text, size) : pg_find_bytes(literal, text, size);
}
#else
static const uint8_t *pg_find(const struct pg_literal *literal, const uint8_t *text, size_t size)
{
    return pg_find_bytes(literal, text, size);
}
#endif

/* Whether the text has a letter beyond ASCII that folds to one in it: U+017F to `s`, the Kelvin sign U+212A to `k`. */
static int pg_has_folding(const uint8_t *text, size_t size)
{
    const uint8_t *end = text + size;
    for (const uint8_t *at = text; (at = memchr(at, 0xC5, (size_t)(end - at))); at++)
        if (end - at > 1 && at[1] == 0xBF)
            return 1;
    for (const uint8_t *at = text; (at = memchr(at, 0xE2, (size_t)(end - at))); at++)
        if (end - at > 2 && at[1] == 0x84 && at[2] == 0xAA)
            return 1;
    return 0;
}

#endif
