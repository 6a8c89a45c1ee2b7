/* The keys of JSON text: every string and number in it, at any depth; names are none.
 *
 * In the overflow a string may belong to a field of any type, so it counts both as a value and as words, and the names
 * of the first level are the fields. */
#ifndef PENSTOCK_BLOOM_JSON_H
#define PENSTOCK_BLOOM_JSON_H

#include "bloom/words.h"
#include "plain.h"

static int bl_hex(const uint8_t *at, size_t bytes, uint32_t *unit)
{
    if (bytes < 4)
        return 0;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = at[i], digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 16;
        if (digit == 16)
            return 0;
        *unit = *unit << 4 | digit;
    }
    return 1;
}

/* `text` without its escapes, in `out` (no longer than `text`); its length, or -1 for what is no JSON. */
static ptrdiff_t bl_unescape(const uint8_t *text, size_t bytes, uint8_t *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t length = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != '\\') {
            out[length++] = text[i];
            continue;
        }
        if (++i >= bytes)
            return -1;
        /* strchr finds the zero at the end of `from` as well. */
        const char *simple = text[i] ? strchr(from, text[i]) : NULL;
        if (simple) {
            out[length++] = (uint8_t)to[simple - from];
            continue;
        }
        uint32_t unit, low;
        if (text[i] != 'u' || !bl_hex(text + i + 1, bytes - i - 1, &unit))
            return -1;
        i += 4;
        if (unit >= 0xD800 && unit < 0xDC00 && bytes - i > 6 && text[i + 1] == '\\' && text[i + 2] == 'u' &&
            bl_hex(text + i + 3, bytes - i - 3, &low) && low >= 0xDC00 && low < 0xE000) {
            unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
            i += 6;
        }
        length += bl_write_point(out + length, unit);
    }
    return (ptrdiff_t)length;
}

/* The quote that closes the string beginning at `at` (behind its quote); `bytes` if none does. */
static size_t bl_string_end(const uint8_t *text, size_t at, size_t bytes, int *has_escapes)
{
    *has_escapes = 0;
    at = pl_plain_end(text, at, bytes);
    while (at < bytes && text[at] != '"') {
        if (text[at] == '\\') {
            *has_escapes = 1;
            at++;
        }
        at++;
    }
    return at < bytes ? at : bytes;
}

/* A string of JSON, found between quotes; a name gives the salt of the field, a value its keys. */
static void bl_put_json_string(
    struct bl_keys *keys, const uint8_t *text, size_t bytes, int has_escapes, int is_name, int is_overflow, uint8_t *out)
{
    if (has_escapes) {
        ptrdiff_t length = bl_unescape(text, bytes, out);
        if (length < 0) {
            keys->failed = BL_BAD_JSON;
            return;
        }
        text = out;
        bytes = (size_t)length;
    }
    if (is_name) {
        keys->salt = bl_hash(text, bytes);
        return;
    }
    bl_put_string(keys, text, bytes);
    if (is_overflow)
        bl_put_words(keys, text, bytes);
}

static inline int bl_in_number(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* The key of the number at `at`, read without regard to the process's locale; its end. */
static size_t bl_put_json_number(
    struct bl_keys *keys, const uint8_t *text, size_t at, size_t bytes, uint8_t *out, locale_t plain)
{
    size_t end = at;
    int is_whole = 1;
    while (end < bytes && bl_in_number(text[end])) {
        is_whole &= text[end] >= '0' && text[end] <= '9';
        end++;
    }
    /* Most are: their text is the digits that the key is made of. Longer ones a double may not hold exactly. */
    if (is_whole && end - at <= 15) {
        bl_put_value(keys, bl_hash(text + at, end - at));
        return end;
    }
    memcpy(out, text + at, end - at);
    out[end - at] = 0;
    bl_put_value(keys, bl_number_key(strtod_l((const char *)out, NULL, plain)));
    return end;
}

/* One JSON text. `out` has room for it and a zero. */
static void bl_put_json(
    struct bl_keys *keys, const uint8_t *text, size_t bytes, int is_overflow, uint8_t *out, locale_t plain)
{
    int64_t depth = 0;
    for (size_t at = 0; at < bytes && !keys->failed;) {
        uint8_t c = text[at];
        if (c == '"') {
            int has_escapes, is_name;
            size_t end = bl_string_end(text, at + 1, bytes, &has_escapes);
            if (end == bytes) {
                keys->failed = BL_BAD_JSON;
                return;
            }
            is_name = end + 1 < bytes && text[end + 1] == ':';
            if (!is_name || (is_overflow && depth == 1))
                bl_put_json_string(keys, text + at + 1, end - at - 1, has_escapes, is_name, is_overflow, out);
            at = end + 1;
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            at = bl_put_json_number(keys, text, at, bytes, out, plain);
        } else {
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
            at++;
        }
    }
}

#endif
