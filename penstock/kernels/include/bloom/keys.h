/* The keys of single values: a value is one key wherever it stands, whatever its spelling.
 *
 * `alice` as a keyword and as a word of a text, 443 and 443.0 and "443": one key each. An address has a key for each
 * spelling that equals it, and one for each network prefix that is asked for. What the keys of a value are is said once
 * more, in plain Python, by penstock/lake/needles/reference.py. */
#ifndef PENSTOCK_BLOOM_KEYS_H
#define PENSTOCK_BLOOM_KEYS_H

#include <arpa/inet.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

#include "bloom/bag.h"

#define BL_PREFIX_SALT 0x70726566ull
#define BL_ADDRESS6_SALT 0x76366B65ull
#define BL_NUMBER_SALT 0x6E756Dull
#define BL_CHAIN_SALT 0x6772616Dull
#define BL_LONGEST_ADDRESS 45
#define BL_FIRST_SLOTS ((size_t)1 << 10)
#define BL_EXACT_DOUBLES 9007199254740992.0 /* 2^53: below it a whole double is its digits */

struct bl_keys {
    struct bl_bag all;    /* the row group's keys */
    struct bl_set column; /* value keys of the column at hand, while there are few */
    /* Apart, because a key among `values` is also in `column`. Others may equal it by somebody's design. */
    struct bl_lately values, others;
    uint64_t stamp; /* on what stands in `values`: another one a column, so that nothing need be cleared */
    uint64_t columns;
    size_t few;           /* most distinct values of a column that gets field keys */
    int is_few;           /* whether the column at hand has no more */
    int is_field;         /* whether values get field keys at once, under `salt` (the overflow) */
    uint64_t salt;
    const uint32_t *fold; /* per code point: 0, no part of a word; else the folded code point */
    uint8_t ascii[128];   /* the same for code points below 128 */
    int is_plain;         /* whether these are letters, digits and _ */
    uint8_t *scratch;
    size_t scratch_bytes;
    int failed; /* BL_NO_MEMORY, BL_BAD_ARRAY or BL_BAD_JSON */
};

enum bl_error {
    BL_OK,
    BL_NO_MEMORY,
    BL_BAD_ARRAY, /* a view points outside its buffer */
    BL_BAD_JSON,  /* text that is no compact JSON */
};

/* Another column begins. */
static void bl_begin_column(struct bl_keys *keys)
{
    if (keys->column.capacity > BL_FIRST_SLOTS)
        keys->column.capacity = BL_FIRST_SLOTS; /* most columns have few values: clear no more than they need */
    bl_set_clear(&keys->column);
    keys->stamp = bl_mix(++keys->columns ^ bl_mix(keys->all.spread));
}

static void bl_set_fold(struct bl_keys *keys, const uint32_t *fold)
{
    keys->fold = fold;
    keys->is_plain = 1;
    for (int c = 0; c < 128; c++) {
        int low = c >= 'A' && c <= 'Z' ? c + 32 : c;
        int is_word = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '_';
        keys->ascii[c] = (uint8_t)fold[c];
        keys->is_plain &= fold[c] == (uint32_t)(is_word ? low : 0);
    }
}

static inline void bl_put_new(struct bl_keys *keys, uint64_t key)
{
    if (!bl_bag_put(&keys->all, key))
        keys->failed = BL_NO_MEMORY;
}

static inline void bl_put(struct bl_keys *keys, uint64_t key)
{
    key += key == 0; /* 0 stands for no key */
    if (!bl_is_repeat(&keys->others, key, keys->all.spread))
        bl_put_new(keys, key);
}

/* The key of a value as a whole. */
static inline void bl_put_value(struct bl_keys *keys, uint64_t key)
{
    key += key == 0;
    if (keys->is_field) /* of one value there are as many as there are fields */
        bl_put(keys, bl_mix(key ^ keys->salt));
    if (bl_is_repeat(&keys->values, key ^ keys->stamp, keys->all.spread))
        return;
    bl_put_new(keys, key);
    if (keys->is_few) {
        if (!bl_set_add(&keys->column, key))
            keys->failed = BL_NO_MEMORY;
        keys->is_few = keys->column.used <= keys->few;
    }
}

/* ---- numbers ---- */

static uint64_t bl_digits_key(int64_t value)
{
    uint8_t text[24];
    size_t at = sizeof text;
    /* Negated as unsigned: -INT64_MIN does not exist. */
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        text[--at] = (uint8_t)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        text[--at] = '-';
    return bl_hash(text + at, sizeof text - at);
}

static uint64_t bl_number_key(double value)
{
    uint64_t bits;
    uint8_t bytes[8];
    /* NaN and infinities fail the comparisons. -0.0 becomes the digits of 0, which it equals. */
    if (value < BL_EXACT_DOUBLES && value > -BL_EXACT_DOUBLES && value == floor(value))
        return bl_digits_key((int64_t)value);
    memcpy(&bits, &value, 8);
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
    return bl_mix(bl_hash(bytes, 8) ^ BL_NUMBER_SALT);
}

static inline uint64_t bl_long_key(int64_t value)
{
    if (value < (int64_t)BL_EXACT_DOUBLES && value > -(int64_t)BL_EXACT_DOUBLES)
        return bl_digits_key(value);
    /* Above 2^53 several integers share a double. The query asks for the double, and the scan then compares exactly. */
    return bl_number_key((double)value);
}

/* ---- addresses ---- */

static uint64_t bl_prefix_key(const uint8_t *address, size_t bytes, int version)
{
    return bl_mix(bl_hash(address, bytes) ^ BL_PREFIX_SALT ^ (uint64_t)version << 32);
}

static uint64_t bl_address6_key(const uint8_t *address)
{
    return bl_mix(bl_hash(address, 16) ^ BL_ADDRESS6_SALT);
}

/* Four octets without leading zeros, as inet_pton reads them. */
static int bl_read_address4(const uint8_t *at, size_t bytes, uint8_t *address)
{
    size_t i = 0;
    for (int octet = 0; octet < 4; octet++) {
        int value = 0;
        size_t first = i;
        if (octet && (i >= bytes || at[i++] != '.'))
            return 0;
        first = i;
        while (i < bytes && i < first + 3 && at[i] >= '0' && at[i] <= '9')
            value = 10 * value + at[i++] - '0';
        if (i == first || value > 255 || (at[first] == '0' && i > first + 1))
            return 0;
        address[octet] = (uint8_t)value;
    }
    return i == bytes;
}

static void bl_put_prefixes4(struct bl_keys *keys, const uint8_t *address)
{
    for (size_t bytes = 1; bytes <= 3; bytes++)
        bl_put(keys, bl_prefix_key(address, bytes, 4));
}

/* An IPv6 address that stands for an IPv4 one is found as that, too. */
static void bl_put_address6(struct bl_keys *keys, const uint8_t *address)
{
    static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    char dotted[16];
    bl_put_value(keys, bl_address6_key(address));
    for (size_t bytes = 4; bytes <= 8; bytes += 2)
        bl_put(keys, bl_prefix_key(address, bytes, 6));
    if (memcmp(address, mapped, sizeof mapped))
        return;
    int length = snprintf(dotted, sizeof dotted, "%d.%d.%d.%d", address[12], address[13], address[14], address[15]);
    bl_put_value(keys, bl_hash((const uint8_t *)dotted, (size_t)length));
    bl_put_prefixes4(keys, address + 12);
}

/* Whether the string begins as addresses do: most values are told apart by few bytes. */
static inline int bl_may_be_address(const uint8_t *at, size_t bytes)
{
    /* An octet has at most three digits, a group of IPv6 at most four, and one of each is not all. */
    for (size_t i = 0; i < 5 && i < bytes; i++) {
        if (at[i] == ':' || (at[i] == '.' && i > 0))
            return 1;
        if (!((at[i] >= '0' && at[i] <= '9') || ((at[i] | 32) >= 'a' && (at[i] | 32) <= 'f')))
            return 0;
    }
    return 0;
}

/* Keys of the string's other spellings and of its networks, where it is an address. A zone (fe80::1%eth0) is left out. */
static void bl_put_address(struct bl_keys *keys, const uint8_t *at, size_t bytes)
{
    uint8_t address[16];
    char text[BL_LONGEST_ADDRESS + 1];
    if (!bl_may_be_address(at, bytes))
        return;
    const uint8_t *zone = memchr(at, '%', bytes);
    if (zone)
        bytes = (size_t)(zone - at);
    if (bytes < 2 || bytes > BL_LONGEST_ADDRESS)
        return;
    if (!memchr(at, ':', bytes < 5 ? bytes : 5)) { /* a group of IPv6 has at most four digits */
        if (bytes >= 7 && bytes <= 15 && !zone && bl_read_address4(at, bytes, address))
            bl_put_prefixes4(keys, address);
        return;
    }
    if (memchr(at, 0, bytes))
        return;
    memcpy(text, at, bytes);
    text[bytes] = 0;
    if (inet_pton(AF_INET6, text, address) == 1)
        bl_put_address6(keys, address);
}

/* A string as a whole. */
static inline void bl_put_string(struct bl_keys *keys, const uint8_t *at, size_t bytes)
{
    bl_put_value(keys, bl_hash(at, bytes));
    bl_put_address(keys, at, bytes);
}

#endif
