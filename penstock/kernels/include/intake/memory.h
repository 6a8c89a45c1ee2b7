/* Growing memory of the intake kernel, and the one way out when there is none.
 *
 * Whoever enters the kernel sets `out_of_memory` first; growing jumps there. All memory hangs on structs that the entry
 * still owns, so nothing leaks and everything can be freed. */
#ifndef PENSTOCK_INTAKE_MEMORY_H
#define PENSTOCK_INTAKE_MEMORY_H

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PK_INLINE static inline __attribute__((always_inline))
#define PK_LIKELY(x) __builtin_expect(!!(x), 1)
#define PK_UNLIKELY(x) __builtin_expect(!!(x), 0)

typedef const uint8_t *pk_text;

/* Bytes that only grow; `used` of them count. */
struct pk_bytes {
    uint8_t *start;
    size_t used, size;
};

/* Memory for `wanted` items of `item` bytes; *size is how many there is room for. */
static __attribute__((noinline, cold)) void *pk_grown(jmp_buf *out_of_memory, void *old, size_t *size, size_t wanted, size_t item)
{
    size_t n = *size * 2 > wanted ? *size * 2 : wanted + 64;
    void *p = n > SIZE_MAX / item ? NULL : realloc(old, n * item);
    if (!p)
        longjmp(*out_of_memory, 1);
    *size = n;
    return p;
}

#define PK_ENSURE(jump, array, size, wanted)                                                      \
    do {                                                                                          \
        if (PK_UNLIKELY((size_t)(wanted) > (size)))                                               \
            (array) = pk_grown((jump), (array), &(size), (size_t)(wanted), sizeof *(array));      \
    } while (0)

/* Where `wanted` bytes may be written behind those that count. 16 more may be touched. */
PK_INLINE uint8_t *pk_room(jmp_buf *jump, struct pk_bytes *b, size_t wanted)
{
    PK_ENSURE(jump, b->start, b->size, b->used + wanted + 16);
    return b->start + b->used;
}

#endif
