/* What columns weigh beyond a fixed size a row: the bytes of their texts, and the items of their lists. */
#ifndef PENSTOCK_WEIGHTS_H
#define PENSTOCK_WEIGHTS_H

#include "views.h"

#define WG_ITEM_BYTES 16

/* Bytes of the texts of rows [from, to), the array's offset counted in. */
static uint64_t wg_texts(const struct ArrowArray *array, int64_t from, int64_t to)
{
    const uint8_t *validity = array->buffers[0];
    const struct vw_view *views = array->buffers[1];
    uint64_t bytes = 0;
    for (int64_t row = from, n; row < to; row += n)
        for (uint64_t bits = vw_valid(validity, row, to, &n); bits; bits &= bits - 1)
            bytes += (uint32_t)views[row + __builtin_ctzll(bits)].bytes;
    return bytes;
}

/* Bytes of the lists of rows [from, to): their items, which are views, and the items' texts. */
static uint64_t wg_lists(const struct ArrowArray *array, int64_t from, int64_t to)
{
    const uint8_t *validity = array->buffers[0];
    const int64_t *offsets = array->buffers[1];
    const struct ArrowArray *items = array->children[0];
    uint64_t bytes = 0;
    for (int64_t row = from, n; row < to; row += n)
        for (uint64_t bits = vw_valid(validity, row, to, &n); bits; bits &= bits - 1) {
            const int64_t *range = offsets + row + __builtin_ctzll(bits);
            bytes += (uint64_t)(range[1] - range[0]) * WG_ITEM_BYTES;
            bytes += wg_texts(items, items->offset + range[0], items->offset + range[1]);
        }
    return bytes;
}

/* Adds an array's bytes to blocks of so many rows; `row` is the row of the column at which the array begins. */
static void wg_add(const struct ArrowArray *array, int64_t row, int64_t block_rows, uint64_t *blocks)
{
    for (int64_t at = 0, n; at < array->length; at += n) {
        int64_t block = (row + at) / block_rows, from = array->offset + at;
        n = (block + 1) * block_rows - (row + at);
        n = n < array->length - at ? n : array->length - at;
        blocks[block] += array->n_children ? wg_lists(array, from, from + n) : wg_texts(array, from, from + n);
    }
}

#endif
