/* Whole Arrow columns into keys. Only the layouts that Polars hands out: string views, large lists of them, 64-bit
 * integers, doubles. */
#ifndef PENSTOCK_BLOOM_COLUMNS_H
#define PENSTOCK_BLOOM_COLUMNS_H

#include "bloom/json.h"
#include "views.h"

enum bl_kind {
    BL_VALUES,   /* strings, or lists of them, each string as a whole */
    BL_WORDS,    /* strings, by their words */
    BL_JSON,     /* JSON text of one field */
    BL_OVERFLOW, /* JSON objects whose members are fields */
    BL_LONGS,
    BL_DOUBLES,
};

static void bl_put_text(
    struct bl_keys *keys, enum bl_kind kind, const uint8_t *text, size_t bytes, uint8_t *out, locale_t plain)
{
    if (kind == BL_VALUES)
        bl_put_string(keys, text, bytes);
    else if (kind == BL_WORDS)
        bl_put_words(keys, text, bytes);
    else
        bl_put_json(keys, text, bytes, kind == BL_OVERFLOW, out, plain);
}

/* Room for the longest JSON text of the column and a zero; NULL without memory. */
static uint8_t *bl_json_room(struct bl_keys *keys, const struct vw_view *views, int64_t from, int64_t to)
{
    size_t longest = 0;
    for (int64_t row = from; row < to; row++)
        if (views[row].bytes > 0 && (size_t)views[row].bytes > longest)
            longest = (size_t)views[row].bytes;
    uint8_t *room = malloc(longest + 1);
    if (!room)
        keys->failed = BL_NO_MEMORY;
    return room;
}

#define BL_AHEAD 12 /* rows */

/* The rows [from, to) of an array of views, its offset counted in. */
static void bl_put_strings(
    struct bl_keys *keys, enum bl_kind kind, const struct ArrowArray *array, int64_t from, int64_t to, locale_t plain)
{
    const uint8_t *validity = array->buffers[0];
    const struct vw_view *views = array->buffers[1];
    int is_json = kind == BL_JSON || kind == BL_OVERFLOW;
    uint8_t *out = is_json ? bl_json_room(keys, views, from, to) : NULL;
    for (int64_t first = from, n; first < to && !keys->failed; first += n)
        for (uint64_t bits = vw_valid(validity, first, to, &n); bits && !keys->failed; bits &= bits - 1) {
            const struct vw_view *view = views + first + __builtin_ctzll(bits);
            /* The text of events lies row by row: the next one of a column is a miss of the cache away. What is no view
             * (under a null) is refused by its address, and a needless line is no fault. */
            if (view + BL_AHEAD < views + to)
                __builtin_prefetch(vw_text(view + BL_AHEAD, array));
            const uint8_t *text = vw_text(view, array);
            if (text)
                bl_put_text(keys, kind, text, (size_t)view->bytes, out, plain);
            else
                keys->failed = BL_BAD_ARRAY;
        }
    free(out);
}

/* Lists with 64-bit offsets; what lies under a null is in none. */
static void bl_put_lists(struct bl_keys *keys, const struct ArrowArray *array, locale_t plain)
{
    const uint8_t *validity = array->buffers[0];
    const int64_t *offsets = array->buffers[1];
    const struct ArrowArray *items = array->children[0];
    for (int64_t row = array->offset; row < array->offset + array->length && !keys->failed; row++) {
        if (!vw_is_valid(validity, row))
            continue;
        if (offsets[row] < 0 || offsets[row + 1] < offsets[row] || offsets[row + 1] > items->length)
            keys->failed = BL_BAD_ARRAY;
        else
            bl_put_strings(keys, BL_VALUES, items, items->offset + offsets[row], items->offset + offsets[row + 1], plain);
    }
}

#define BL_SEEN 4096 /* slots: numbers repeat, and their digits are dear */

static void bl_put_longs(struct bl_keys *keys, const struct ArrowArray *array)
{
    int64_t seen[BL_SEEN];
    uint8_t is_seen[BL_SEEN] = {0};
    const uint8_t *validity = array->buffers[0];
    const int64_t *values = array->buffers[1];
    for (int64_t row = array->offset; row < array->offset + array->length; row++) {
        if (!vw_is_valid(validity, row))
            continue;
        /* The upper bits of the product: the lower ones depend on the value's lower bits alone, and 52 leaves
         * twelve. */
        size_t slot = (size_t)((uint64_t)values[row] * 0x9E3779B97F4A7C15ull >> 52);
        if (is_seen[slot] && seen[slot] == values[row])
            continue;
        is_seen[slot] = 1;
        seen[slot] = values[row];
        bl_put_value(keys, bl_long_key(values[row]));
    }
}

static void bl_put_doubles(struct bl_keys *keys, const struct ArrowArray *array)
{
    const uint8_t *validity = array->buffers[0];
    const double *values = array->buffers[1];
    for (int64_t row = array->offset; row < array->offset + array->length; row++)
        if (vw_is_valid(validity, row))
            bl_put_value(keys, bl_number_key(values[row]));
}

static void bl_put_array(struct bl_keys *keys, enum bl_kind kind, const struct ArrowArray *array, locale_t plain)
{
    if (array->length == 0)
        return;
    if (kind == BL_LONGS)
        bl_put_longs(keys, array);
    else if (kind == BL_DOUBLES)
        bl_put_doubles(keys, array);
    else if (array->n_children)
        bl_put_lists(keys, array, plain);
    else
        bl_put_strings(keys, kind, array, array->offset, array->offset + array->length, plain);
}

/* The keys of the column's distinct values in this very field, if they are few. */
static void bl_put_field_keys(struct bl_keys *keys, uint64_t salt)
{
    for (size_t i = 0; i < keys->column.capacity; i++)
        if (keys->column.slots[i])
            bl_put(keys, bl_mix(keys->column.slots[i] ^ salt));
}

#endif
