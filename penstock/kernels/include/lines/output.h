/* Where lines are written: one growing block of memory, and the rule that keeps every write inside it.
 *
 * A writer takes the next free byte and returns the one after what it wrote. Before it may write, somebody must have called
 * `reserve` for at least as many bytes as it can write at worst, PK_SLOP included: the bytes that wide stores may
 * touch past the end of what counts. */
#ifndef PENSTOCK_LINES_OUTPUT_H
#define PENSTOCK_LINES_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "marks.h"

#define PK_LIKELY(x) __builtin_expect(!!(x), 1)
#define PK_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define PK_INLINE static inline __attribute__((always_inline))
#define PK_SLOP 64

/* Why encoding stopped. */
enum pk_error {
    PK_OK,
    PK_NO_MEMORY,
    PK_BAD_ARRAY,    /* an Arrow offset or view points outside its buffer */
    PK_BAD_JSON,     /* a JSON text is empty or holds a control character */
    PK_BAD_TIME,     /* outside the years 0001 to 9999 */
    PK_BAD_OVERFLOW, /* not one compact JSON object */
};

struct pk_output {
    uint8_t *start;
    uint8_t *end; /* start + capacity */
    enum pk_error error;
    struct pk_mark *marks; /* of the values that were written, in order; owned, for free() */
    size_t n_marks, mark_capacity;
    int keeps_marks; /* of all rows; else of the present one only */
};

static __attribute__((noinline, cold)) uint8_t *pk_grow(struct pk_output *out, uint8_t *at, size_t need)
{
    size_t used = (size_t)(at - out->start), capacity = (size_t)(out->end - out->start);
    size_t wanted = used + need;
    if (wanted < capacity + capacity / 2)
        wanted = capacity + capacity / 2;
    /* Smaller than what is used: the sum has wrapped around. */
    uint8_t *block = wanted < used ? NULL : realloc(out->start, wanted);
    if (!block) {
        out->error = PK_NO_MEMORY;
        return NULL;
    }
    out->start = block;
    out->end = block + wanted;
    return block + used;
}

/* `at`, perhaps moved, with at least `need` writable bytes behind it; NULL (and `error`) without memory. */
PK_INLINE uint8_t *pk_reserve(struct pk_output *out, uint8_t *at, size_t need)
{
    if (PK_LIKELY((size_t)(out->end - at) >= need))
        return at;
    return pk_grow(out, at, need);
}

static __attribute__((noinline, cold)) int pk_grow_marks(struct pk_output *out, size_t need)
{
    size_t wanted = out->mark_capacity + out->mark_capacity / 2 + need;
    struct pk_mark *block = realloc(out->marks, wanted * sizeof *block);
    if (!block) {
        out->error = PK_NO_MEMORY;
        return 0;
    }
    out->marks = block;
    out->mark_capacity = wanted;
    return 1;
}

/* The next free mark, with at least `need` behind it; NULL (and `error`) without memory. */
PK_INLINE struct pk_mark *pk_reserve_marks(struct pk_output *out, size_t need)
{
    if (PK_UNLIKELY(out->mark_capacity - out->n_marks < need) && !pk_grow_marks(out, need))
        return NULL;
    return out->marks + out->n_marks;
}

/* Notes the value that was written from `start` to o; the next free mark. One without a byte between its quotes is not
 * noted. */
PK_INLINE struct pk_mark *pk_note(
    const struct pk_output *out, struct pk_mark *mark, size_t start, const uint8_t *o, unsigned quotes, unsigned column, unsigned kind)
{
    mark->start = (uint32_t)(start + quotes);
    mark->end = (uint32_t)((size_t)(o - out->start) - quotes);
    mark->column = (uint16_t)column;
    mark->kind = (uint16_t)kind;
    return mark + ((int32_t)(mark->end - mark->start) > 0);
}

PK_INLINE uint8_t *pk_fail(struct pk_output *out, enum pk_error error)
{
    out->error = error;
    return NULL;
}

#endif
