/* The words of a text, folded: each is a key, and so are four octets in a row.
 *
 * An address in a text is four words that stand everywhere; in a row they are a key of their own. The rule looks at the
 * words alone, so that it holds for every spelling that a phrase matches. */
#ifndef PENSTOCK_BLOOM_WORDS_H
#define PENSTOCK_BLOOM_WORDS_H

#include "bloom/keys.h"

#define BL_CODE_POINTS 0x110000u

static inline size_t bl_sequence(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

/* What `fold` has for the character of `bytes` (2 to 4) at `at`; 0 for what is none. */
static inline uint32_t bl_fold_at(const struct bl_keys *keys, const uint8_t *at, size_t bytes)
{
    uint32_t point = at[0] & (0xFFu >> (bytes + 1));
    for (size_t i = 1; i < bytes; i++)
        point = point << 6 | (at[i] & 63u);
    return point < BL_CODE_POINTS ? keys->fold[point] : 0;
}

static inline size_t bl_write_point(uint8_t *out, uint32_t point)
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    if (point < 0x800) {
        out[0] = (uint8_t)(0xC0 | point >> 6);
        out[1] = (uint8_t)(0x80 | (point & 63));
        return 2;
    }
    if (point < 0x10000) {
        out[0] = (uint8_t)(0xE0 | point >> 12);
        out[1] = (uint8_t)(0x80 | (point >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (point & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | point >> 18);
    out[1] = (uint8_t)(0x80 | (point >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (point >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (point & 63));
    return 4;
}

/* At least `bytes` of scratch space; NULL without memory. */
static uint8_t *bl_scratch(struct bl_keys *keys, size_t bytes)
{
    if (keys->scratch_bytes < bytes) {
        uint8_t *larger = realloc(keys->scratch, bytes + bytes / 2);
        if (!larger) {
            keys->failed = BL_NO_MEMORY;
            return NULL;
        }
        keys->scratch = larger;
        keys->scratch_bytes = bytes + bytes / 2;
    }
    return keys->scratch;
}

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

/* The word that begins at `at`, folded, in `word`; its end. `word` has room for twice the text: folding turns at most
 * two bytes into three. */
static inline size_t bl_read_word(
    const struct bl_keys *keys, const uint8_t *text, size_t at, size_t bytes, uint8_t *word, size_t *word_bytes)
{
    size_t length = 0;
    while (at < bytes) {
        size_t step = bl_sequence(text[at]);
        uint32_t folded;
        if (step == 1)
            folded = keys->fold[text[at]];
        else if (at + step > bytes)
            break;
        else
            folded = bl_fold_at(keys, text + at, step);
        if (!folded)
            break;
        length += bl_write_point(word + length, folded);
        at += step;
    }
    *word_bytes = length;
    return at;
}

static void bl_put_words(struct bl_keys *keys, const uint8_t *text, size_t bytes)
{
    uint64_t last[4] = {0, 0, 0, 0};
    int octets = 0;
    uint8_t *word = bl_scratch(keys, 2 * bytes + 8);
    if (!word)
        return;
    for (size_t at = 0, length; at < bytes;) {
        size_t end = bl_read_word(keys, text, at, bytes, word, &length);
        if (end == at) {
            at += bl_sequence(text[at]);
            continue;
        }
        at = end;
        memmove(last, last + 1, 3 * sizeof *last);
        last[3] = bl_hash(word, length);
        bl_put(keys, last[3]);
        octets = bl_is_octet(word, length) ? octets + 1 : 0;
        if (octets >= 4)
            bl_put(keys, bl_chain_key(last));
    }
}

#endif
