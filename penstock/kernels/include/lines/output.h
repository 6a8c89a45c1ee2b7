/* Where lines are written: one growing block of memory, and the rule that keeps every write inside it.
 *
 * A writer takes the next free byte and returns the one after what it wrote. Before it may write, somebody must have called
 * `reserve` for at least as many bytes as it can write at worst, PK_SLOP included: the bytes that wide stores may
 * touch past the end of what counts. */
#ifndef PENSTOCK_JSONL_OUTPUT_H
#define PENSTOCK_JSONL_OUTPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
};

static __attribute__((noinline, cold)) uint8_t *pk_grow(struct pk_output *out, uint8_t *at, size_t need)
{
    size_t used = (size_t)(at - out->start), capacity = (size_t)(out->end - out->start);
    size_t wanted = used + need;
    if (wanted < capacity + capacity / 2)
        wanted = capacity + capacity / 2;
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

PK_INLINE uint8_t *pk_fail(struct pk_output *out, enum pk_error error)
{
    out->error = error;
    return NULL;
}

#endif
