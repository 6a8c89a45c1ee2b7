/* The words of any text, folded by Unicode's table, character by character. */
#ifndef PENSTOCK_BLOOM_WORDS_H
#define PENSTOCK_BLOOM_WORDS_H

#include "bloom/ascii.h"


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

static void bl_put_any_words(struct bl_keys *keys, const uint8_t *text, size_t bytes, uint8_t *word)
{
    struct bl_row row = {{0}, 0};
    for (size_t at = 0, length; at < bytes;) {
        size_t end = bl_read_word(keys, text, at, bytes, word, &length);
        if (end == at) {
            at += bl_sequence(text[at]);
            continue;
        }
        at = end;
        bl_put_word(keys, &row, word, length);
    }
}

static void bl_put_words(struct bl_keys *keys, const uint8_t *text, size_t bytes)
{
    uint8_t *scratch = bl_scratch(keys, 2 * bytes + bl_ascii_room(bytes));
    if (scratch && !bl_put_ascii_words(keys, text, bytes, scratch))
        bl_put_any_words(keys, text, bytes, scratch);
}

#endif
