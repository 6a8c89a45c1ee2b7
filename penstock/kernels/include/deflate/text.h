/* Long text: what is inside a value.
 *
 * Messages are made from templates: behind a value that differs, the text goes on as the one it resembles. Looking for that
 * place (PK_FOLLOW) takes few steps; looking up every position (PK_SCAN) finds more; looking up a second, shorter hash where
 * the first finds nothing (PK_THOROUGH) pays only in text without templates. */
#ifndef PENSTOCK_DEFLATE_TEXT_H
#define PENSTOCK_DEFLATE_TEXT_H

#include "deflate/values.h"

#define PK_INSERT_STEP 12 /* inside a match every so many positions are remembered */
#define PK_RESYNC_MIN 8   /* bytes that must agree behind a delimiter */


PK_INLINE void pk_remember(struct pk_deflate *d, const uint8_t *p, int is_thorough)
{
    uint64_t eight = pk_load64(p);
    d->newest.text[pk_hash_first(eight, PK_TEXT_BYTES, PK_TEXT_BITS)] = pk_place(d, p);
    if (is_thorough)
        d->newest.shorter[pk_hash_first(eight, PK_SHORT_BYTES, PK_TEXT_BITS)] = pk_place(d, p);
}

/* Delimiters are all but letters, digits, `-`, `.`, `_`, backquote and what is not ASCII. */
PK_INLINE int pk_is_delimiter(uint8_t c)
{
    return c <= 0x2c || c == '/' || (c >= 0x3a && c <= 0x40) || (c >= 0x5b && c <= 0x5e) || (c >= 0x7b && c <= 0x7f);
}

/* Marks the delimiters of [from, to), in whole words of 64 bytes. */
static void pk_mark_delimiters(struct pk_deflate *d, size_t from, size_t to)
{
    for (size_t at = from & ~(size_t)63; at < to; at += 64) {
        uint64_t mask = 0;
#if defined(__SSE2__)
#define PK_UP_TO(x, n) _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(n)), x)
        for (unsigned i = 0; i < 64; i += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(d->lines + at + i));
            __m128i low = _mm_or_si128(PK_UP_TO(v, 0x2c), _mm_cmpeq_epi8(v, _mm_set1_epi8('/')));
            __m128i colon = _mm_sub_epi8(v, _mm_set1_epi8(0x3a)), bracket = _mm_sub_epi8(v, _mm_set1_epi8(0x5b));
            __m128i brace = _mm_sub_epi8(v, _mm_set1_epi8(0x7b));
            __m128i high = _mm_or_si128(_mm_or_si128(PK_UP_TO(colon, 6), PK_UP_TO(bracket, 3)), PK_UP_TO(brace, 4));
            mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_or_si128(low, high)) << i;
        }
#undef PK_UP_TO
#else
        for (unsigned i = 0; i < 64; i++)
            mask |= (uint64_t)pk_is_delimiter(d->lines[at + i]) << i;
#endif
        d->delimiters[at >> 6] = mask;
    }
}

/* Bytes from `at` to the next delimiter; 63 if there is none so near. */
PK_INLINE unsigned pk_to_delimiter(const struct pk_deflate *d, size_t at)
{
    const uint64_t *word = d->delimiters + (at >> 6);
    unsigned shift = at & 63;
    uint64_t marks = word[0] >> shift | (word[1] << 1) << (63 - shift);
    return marks ? (unsigned)__builtin_ctzll(marks) : 63;
}

/* The next match between p and `stop`, found by hashes, two positions at once and the longer match; what is done then, and
 * its distance as template. NULL: there is none. */
PK_INLINE const uint8_t *pk_scan(struct pk_deflate *d, struct pk_writer *w, const uint8_t *done, const uint8_t *p,
    const uint8_t *stop, const uint8_t *end, struct pk_policy *policy, unsigned *template, const int is_thorough)
{
    const unsigned unhashed = 64 - 8 * PK_TEXT_BYTES, unhashed_short = 64 - 8 * PK_SHORT_BYTES;
    for (; p < stop; p += 2) {
        uint64_t this = pk_load64(p), next = pk_load64(p + 1);
        unsigned distance = pk_seen(d, &d->newest.text[pk_hash_first(this, PK_TEXT_BYTES, PK_TEXT_BITS)], p);
        unsigned next_distance = pk_seen(d, &d->newest.text[pk_hash_first(next, PK_TEXT_BYTES, PK_TEXT_BITS)], p + 1);
        int is_found = ((pk_load64(p - distance) ^ this) << unhashed == 0) & pk_is_near(distance);
        int is_next = ((pk_load64(p + 1 - next_distance) ^ next) << unhashed == 0) & pk_is_near(next_distance);
        if (is_thorough) {
            unsigned near = pk_seen(d, &d->newest.shorter[pk_hash_first(this, PK_SHORT_BYTES, PK_TEXT_BITS)], p);
            unsigned next_near = pk_seen(d, &d->newest.shorter[pk_hash_first(next, PK_SHORT_BYTES, PK_TEXT_BITS)], p + 1);
            if (!(is_found | is_next)) {
                distance = near;
                next_distance = next_near;
                is_found = ((pk_load64(p - near) ^ this) << unhashed_short == 0) & pk_is_near(near);
                is_next = ((pk_load64(p + 1 - next_near) ^ next) << unhashed_short == 0) & pk_is_near(next_near);
            }
        }
        if (__builtin_expect(!(is_found | is_next), 1))
            continue;
        size_t length = is_found ? pk_agree_all(p, p - distance, 0, end) : 0;
        int is_other = is_next & (!is_found | (distance != next_distance));
        size_t next_length = is_other ? pk_agree_all(p + 1, p + 1 - next_distance, 0, end) : 0;
        if (next_length > length) {
            p++;
            distance = next_distance;
            length = next_length;
        }
        size_t left = pk_agree_left8(p, p - distance, pk_room_left(d, done, p, distance));
        for (const uint8_t *in = p + 3, *last = p + length < stop ? p + length : stop; in < last; in += PK_INSERT_STEP)
            pk_remember(d, in, is_thorough);
        policy->literals += (uint32_t)(p - left - done);
        *template = distance;
        return pk_put_match(d, w, done, p - left, left + length, distance);
    }
    return NULL;
}

/* Behind a mismatch both the text and its template go on to their next delimiter and are compared there again; what is done
 * then, NULL if too little agrees. */
PK_INLINE const uint8_t *pk_resync(struct pk_deflate *d, struct pk_writer *w, const uint8_t *done, const uint8_t *p,
    const uint8_t *end, struct pk_policy *policy, unsigned *template)
{
    size_t at = (size_t)(p - d->lines);
    unsigned gap = pk_to_delimiter(d, at), distance = *template + gap - pk_to_delimiter(d, at - *template);
    const uint8_t *start = p + gap;
    policy->steps++;
    if (!pk_is_near(distance) || distance > (size_t)(start - d->lines) - PK_BEFORE) {
        policy->failures++;
        return NULL;
    }
    size_t length = pk_agree_all(start, start - distance, 0, end > start ? end : start);
    if (length < PK_RESYNC_MIN) {
        policy->failures++;
        return NULL;
    }
    pk_remember(d, start + 1, 0);
    for (const uint8_t *in = start + PK_INSERT_STEP; in < start + length; in += PK_INSERT_STEP)
        pk_remember(d, in, 0);
    size_t left = pk_agree_left8(start, start - distance, pk_room_left(d, done, start, distance));
    *template = distance;
    return pk_put_match(d, w, done, start - left, left + length, distance);
}

/* The rest of a long text from `p` to 8 bytes before `stop`; what is done then. */
PK_INLINE const uint8_t *pk_deflate_text(struct pk_deflate *d, struct pk_writer *w, const uint8_t *done, const uint8_t *p,
    const uint8_t *stop, const uint8_t *end, struct pk_policy *policy, unsigned template)
{
    const int mode = policy->text_mode;
    while (p < stop && mode != PK_LEAVE) {
        const uint8_t *next = NULL;
        if (mode == PK_FOLLOW && template)
            next = pk_resync(d, w, done, p, end, policy, &template);
        if (!next)
            next = mode == PK_THOROUGH ? pk_scan(d, w, done, p, stop, end, policy, &template, 1)
                                       : pk_scan(d, w, done, p, stop, end, policy, &template, 0);
        if (!next)
            break;
        p = done = next;
    }
    if (done < stop)
        policy->literals += (uint32_t)(stop - done);
    return done;
}

#endif
