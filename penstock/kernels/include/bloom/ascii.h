/* The words of a text, folded: each is a key, and so are four octets in a row. And the words of ASCII, which most texts
 * are, sixteen characters at once.
 *
 * An address in a text is four words that stand everywhere; in a row they are a key of their own. The rule looks at the
 * words alone, so that it holds for every spelling that a phrase matches. */
#ifndef PENSTOCK_BLOOM_ASCII_H
#define PENSTOCK_BLOOM_ASCII_H

#include "bloom/keys.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define BL_CODE_POINTS 0x110000u

static inline int bl_is_octet(const uint8_t *word, size_t bytes)
{
    int value = 0;
    if (bytes > 3 || (bytes > 1 && word[0] == '0'))
        return 0;
    for (size_t i = 0; i < bytes; i++) {
        if (word[i] < '0' || word[i] > '9')
            return 0;
        value = 10 * value + word[i] - '0';
    }
    return value <= 255;
}

static uint64_t bl_chain_key(const uint64_t hashes[4])
{
    uint64_t chain = BL_CHAIN_SALT;
    for (int i = 0; i < 4; i++)
        chain = bl_fold_product(chain ^ hashes[i], 0xE7037ED1A0B428DBull) + (uint64_t)i;
    return bl_mix(chain);
}

/* The last words of a text. */
struct bl_row {
    uint64_t last[4];
    int octets; /* how many of the last ones are octets */
};

static inline void bl_put_word(struct bl_keys *keys, struct bl_row *row, const uint8_t *word, size_t bytes)
{
    uint64_t hash = bl_hash(word, bytes);
    bl_put(keys, hash);
    if (bl_is_octet(word, bytes)) {
        row->last[row->octets & 3] = hash;
        if (++row->octets >= 4) {
            uint64_t chain[4];
            for (int i = 0; i < 4; i++)
                chain[i] = row->last[(row->octets + i) & 3];
            bl_put(keys, bl_chain_key(chain));
        }
    } else
        row->octets = 0;
}

/* ---- ASCII: characters to bits, bits to words ---- */

/* Bytes of scratch space for a text: the folded characters, and a bit for each. */
static inline size_t bl_ascii_room(size_t bytes)
{
    return bytes + 64 + (bytes / 64 + 3) * sizeof(uint64_t);
}

/* Folds up to sixteen characters; a bit for each that is part of a word, or -1 if one is not ASCII. `out` takes 16. */
static inline int bl_fold_group(const struct bl_keys *keys, const uint8_t *text, size_t bytes, uint8_t *out)
{
#ifdef __SSE2__
    if (keys->is_plain) {
        uint8_t last[16];
        if (bytes < 16) {
            memset(last, 0, 16);
            memcpy(last, text, bytes);
            text = last;
        }
        __m128i c = _mm_loadu_si128((const __m128i *)text);
        if (_mm_movemask_epi8(c))
            return -1;
        /* Signed comparisons will do: there is nothing above 127. */
        __m128i is_upper = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('A' - 1)), _mm_cmplt_epi8(c, _mm_set1_epi8('Z' + 1)));
        __m128i low = _mm_or_si128(c, _mm_and_si128(is_upper, _mm_set1_epi8(32)));
        __m128i is_letter = _mm_and_si128(_mm_cmpgt_epi8(low, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(low, _mm_set1_epi8('z' + 1)));
        __m128i is_digit = _mm_and_si128(_mm_cmpgt_epi8(c, _mm_set1_epi8('0' - 1)), _mm_cmplt_epi8(c, _mm_set1_epi8('9' + 1)));
        __m128i is_word = _mm_or_si128(_mm_or_si128(is_letter, is_digit), _mm_cmpeq_epi8(c, _mm_set1_epi8('_')));
        _mm_storeu_si128((__m128i *)out, low);
        return _mm_movemask_epi8(is_word);
    }
#endif
    int bits = 0;
    for (size_t i = 0; i < bytes && i < 16; i++) {
        if (text[i] > 127)
            return -1;
        out[i] = keys->ascii[text[i]];
        bits |= (out[i] != 0) << i;
    }
    return bits;
}

/* Folds a text into `out`; a bit for each character that is part of a word. 0 if the text is not ASCII. */
static int bl_fold_ascii(const struct bl_keys *keys, const uint8_t *text, size_t bytes, uint8_t *out, uint64_t *bits)
{
    memset(bits, 0, (bytes / 64 + 2) * sizeof *bits); /* the last one stays 0: every word ends */
    for (size_t at = 0; at < bytes; at += 16) {
        int group = bl_fold_group(keys, text + at, bytes - at, out + at);
        if (group < 0)
            return 0;
        bits[at / 64] |= (uint64_t)group << (at % 64);
    }
    return 1;
}

/* The keys of the words of an ASCII text; 0 if the text is none, and then nothing is done. */
static int bl_put_ascii_words(struct bl_keys *keys, const uint8_t *text, size_t bytes, uint8_t *scratch)
{
    struct bl_row row = {{0}, 0};
    uint64_t *bits = (uint64_t *)(void *)scratch, before = 0;
    uint8_t *folded = scratch + (bytes / 64 + 2) * sizeof *bits;
    size_t start = 0;
    int is_inside = 0;
    if (!bl_fold_ascii(keys, text, bytes, folded, bits))
        return 0;
    for (size_t i = 0; i < bytes / 64 + 2; i++) {
        /* A bit wherever a word begins or ends. */
        uint64_t edges = bits[i] ^ (bits[i] << 1 | before);
        before = bits[i] >> 63;
        for (; edges; edges &= edges - 1) {
            size_t at = 64 * i + (size_t)__builtin_ctzll(edges);
            if (is_inside)
                bl_put_word(keys, &row, folded + start, at - start);
            start = at;
            is_inside = !is_inside;
        }
    }
    return 1;
}

#endif
