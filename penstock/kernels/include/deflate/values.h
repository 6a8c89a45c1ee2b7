/* Values: where one, and the key before it, can be copied from.
 *
 * Most values of a column were there before, whole; or begin as one that was; or resemble the last one that stood
 * between the same two columns. A match found at a value is widened to the left over its key, and to the right as far as
 * bytes agree, which may be many values. */
#ifndef PENSTOCK_DEFLATE_VALUES_H
#define PENSTOCK_DEFLATE_VALUES_H

#include "deflate/writer.h"

struct pk_match {
    size_t length;
    unsigned distance; /* 0: nothing is there, not even a key */
};

PK_INLINE uint16_t *pk_whole_slot(struct pk_deflate *d, const uint8_t *v, size_t n, unsigned column)
{
    /* The last eight bytes of a shorter value begin in its key, which is the same for all of the column. */
    uint64_t first = pk_load64(v) << (64 - 8 * (n < 8 ? n : 8)), last = pk_load64(v + n - 8);
    uint64_t mixed = (first ^ (uint64_t)column << 3) * PK_MIX + (last ^ n) * 0xC2B2AE3D27D4EB4Fu;
    return &d->newest.whole[mixed >> (64 - PK_VALUE_BITS)];
}

PK_INLINE uint16_t *pk_prefix_slot(struct pk_deflate *d, const uint8_t *v, unsigned column)
{
    uint64_t first = pk_load64(v) << (64 - 8 * PK_PREFIX_BYTES);
    return &d->newest.prefix[(first + column) * PK_MIX >> (64 - PK_VALUE_BITS)];
}

/* The place to copy value v of n > 0 bytes from; `row`: how far back its neighbours last stood together. */
PK_INLINE struct pk_match pk_find_value(
    struct pk_deflate *d, const struct pk_mark *mark, const uint8_t *v, size_t n, unsigned row)
{
    struct pk_policy *policy = &d->policies[mark->column];
    struct pk_match found = {0, pk_is_near(row) ? row : 0};
    if (policy->looks_up & (mark->kind != PK_MARK_TIME)) {
        unsigned whole = pk_seen(d, pk_whole_slot(d, v, n, mark->column), v);
        size_t known = pk_agree16(v, v - whole);
        int is_known = pk_is_near(whole) & (known >= (n < 16 ? n : 16));
        policy->lookups++;
        policy->hits += (uint32_t)is_known;
        if (is_known)
            return (struct pk_match){known, whole};
    } else if (mark->kind < PK_MARK_TEXT) {
        found.length = found.distance ? pk_agree16(v, v - found.distance) : 0;
    }
    if (mark->kind == PK_MARK_TEXT) {
        unsigned prefix = pk_seen(d, pk_prefix_slot(d, v, mark->column), v);
        size_t of_row = found.distance ? pk_agree16(v, v - found.distance) : 0;
        size_t of_prefix = pk_is_near(prefix) ? pk_agree16(v, v - prefix) : 0;
        if (of_prefix > of_row)
            return (struct pk_match){of_prefix, prefix};
        found.length = of_row;
    }
    return found;
}

/* Puts what of a value, and of what precedes it from `done` on, can be copied; what is done then. `*template` becomes the
 * distance of the text that this value resembles, 0 if there is none. */
PK_INLINE const uint8_t *pk_deflate_value(struct pk_deflate *d, struct pk_writer *w, const uint8_t *done,
    const struct pk_mark *mark, const uint8_t *end, unsigned *template)
{
    const uint8_t *v = d->lines + mark->start;
    size_t n = mark->end - mark->start;
    unsigned row = pk_seen(d, &d->newest.pair[d->previous_column][mark->column], v);
    d->previous_column = mark->column;
    *template = 0;
    if (done >= v + n) { /* the match before covers it */
        if (d->policies[mark->column].looks_up & (mark->kind != PK_MARK_TIME))
            *pk_whole_slot(d, v, n, mark->column) = pk_place(d, v);
        return done;
    }
    struct pk_match found = pk_find_value(d, mark, v, n, row);
    if (found.length == 16)
        found.length = pk_agree_all(v, v - found.distance, 16, end);
    if (found.length > (size_t)(end - v))
        found.length = (size_t)(end - v);

    if (done > v) { /* the match before ends inside it: this one goes on there, if it is worth its bits */
        size_t covered = (size_t)(done - v);
        if (found.length < covered + 5)
            return done;
        *template = found.distance;
        return pk_put_match(d, w, done, done, found.length - covered, found.distance);
    }
    size_t gap = (size_t)(v - done), left = 0;
    if (found.distance)
        left = pk_agree_left(v, v - found.distance, pk_room_left(d, done, v, found.distance));
    /* More than three bytes of key are left: less than that costs about what a match of its own would. */
    if (gap - left > 3 && row != found.distance && pk_is_near(row)) {
        /* The value's place does not have the key: that is copied from between the same neighbours. */
        size_t key = pk_agree_left(v, v - row, pk_room_left(d, done, v, row));
        if (key > left + 3) {
            size_t of_row = pk_agree_all(v, v - row, 0, end);
            int is_enough = of_row >= found.length;
            done = pk_put_match(d, w, done, v - key, key + (is_enough ? of_row : 0), row);
            *template = row;
            if (is_enough)
                return done;
            left = 0;
        }
    }
    if (left + found.length < 4)
        return done;
    *template = found.distance;
    return pk_put_match(d, w, done, v - left, left + found.length, found.distance);
}

#endif
