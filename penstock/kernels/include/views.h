/* Arrow's string views: where a string's text lies; and rows that have none. */
#ifndef PENSTOCK_VIEWS_H
#define PENSTOCK_VIEWS_H

#include <stddef.h>
#include <string.h>

#include "arrow.h"

struct vw_view {
    int32_t bytes;
    union {
        uint8_t text[12];
        struct {
            uint8_t start[4];
            int32_t buffer;
            int32_t offset;
        } far;
    };
};

static inline int vw_is_valid(const uint8_t *validity, int64_t row)
{
    return !validity || (validity[row >> 3] >> (row & 7) & 1);
}

/* A bit for each of the rows [row, row + *n) that has a value; *n is at most 64, and ends at `to`. Most columns of wide
 * events are nulls nearly throughout: 64 rows without a value cost one look. */
static inline uint64_t vw_valid(const uint8_t *validity, int64_t row, int64_t to, int64_t *n)
{
    uint64_t bits = ~0ull;
    *n = to - row < 64 ? to - row : 64;
    if (validity && !(row & 7) && *n == 64) {
        bits = 0;
        for (int i = 0; i < 8; i++)
            bits |= (uint64_t)validity[(row >> 3) + i] << (8 * i);
    } else if (validity) {
        *n = *n < 8 - (row & 7) ? *n : 8 - (row & 7); /* to the end of the byte */
        bits = (uint64_t)validity[row >> 3] >> (row & 7);
    }
    return *n < 64 ? bits & ((1ull << *n) - 1) : bits;
}

/* The text of a view; NULL if it lies outside its buffer. */
static inline const uint8_t *vw_text(const struct vw_view *view, const struct ArrowArray *array)
{
    if (view->bytes < 0)
        return NULL;
    if (view->bytes <= 12)
        return view->text;
    /* Validity and views come before the text buffers, their sizes behind (Arrow columnar format, "Variable-size
     * Binary View"). */
    int64_t buffers = array->n_buffers - 3;
    const int64_t *sizes = array->buffers[array->n_buffers - 1];
    if (view->far.buffer < 0 || view->far.buffer >= buffers || view->far.offset < 0 ||
        (int64_t)view->far.offset + view->bytes > sizes[view->far.buffer])
        return NULL;
    return (const uint8_t *)array->buffers[2 + view->far.buffer] + view->far.offset;
}

#endif
