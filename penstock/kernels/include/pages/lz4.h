/* An LZ4 block unpacked: https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md. Safe with any bytes. */
#ifndef PENSTOCK_PAGES_LZ4_H
#define PENSTOCK_PAGES_LZ4_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { PG_PADDING = 64 };
/* Bytes behind the end of what is written that may be overwritten, so that copies need not count. */

/* More of a length that began with 15; -1 at the end of the input. */
static int pg_lz4_more(const uint8_t **at, const uint8_t *end, size_t *length)
{
    uint8_t byte;
    do {
        if (*at == end)
            return -1;
        byte = *(*at)++;
        *length += byte;
    } while (byte == 255);
    return 0;
}

/* `length` bytes from `from` to `out`, which lies `out - from` bytes behind it; may write 31 bytes too many. */
static inline void pg_lz4_copy(uint8_t *out, const uint8_t *from, size_t length)
{
    uint8_t *stop = out + length;
    size_t distance = (size_t)(out - from);
    if (distance >= 16) {
        do {
            memcpy(out, from, 16);
            memcpy(out + 16, from + 16, 16);
            out += 32;
            from += 32;
        } while (out < stop);
    } else if (distance >= 8) {
        do {
            memcpy(out, from, 8);
            out += 8;
            from += 8;
        } while (out < stop);
    } else {
        while (out < stop)
            *out++ = *from++;
    }
}

/* A block being unpacked; `out` has PG_PADDING bytes more than it needs. */
struct pg_lz4 {
    const uint8_t *at, *end;
    uint8_t *begin, *out, *stop;
};

static struct pg_lz4 pg_lz4_begin(const uint8_t *at, size_t packed, uint8_t *out, size_t plain)
{
    return (struct pg_lz4){.at = at, .end = at + packed, .begin = out, .out = out, .stop = out + plain};
}

/* Unpacks until `bytes` of the block are there, or some more; all of them if that is all. -1 where it is no such block. */
static int pg_lz4_until(struct pg_lz4 *block, size_t bytes)
{
    const uint8_t *at = block->at, *end = block->end;
    uint8_t *begin = block->begin, *out = block->out, *stop = block->stop, *goal = begin + bytes;
    if (goal == stop)
        goal = stop + 1; /* to the end, whose form is checked */
    while (out < goal) {
        if (at == end)
            return -1;
        unsigned token = *at++;
        size_t length = token >> 4;
        if (length < 15 && end - at >= 18) { /* nearly always */
            memcpy(out, at, 16);
        } else {
            if (length == 15 && pg_lz4_more(&at, end, &length))
                return -1;
            if (length > (size_t)(end - at) || length > (size_t)(stop - out))
                return -1;
            memcpy(out, at, length);
        }
        at += length;
        out += length;
        if (at == end) {
            block->at = at;
            block->out = out;
            return out == stop ? 0 : -1;
        }
        if (end - at < 2 || out > stop)
            return -1;
        uint16_t distance = (uint16_t)(at[0] | at[1] << 8);
        at += 2;
        if (distance == 0 || distance > (size_t)(out - begin))
            return -1;
        const uint8_t *from = out - distance;
        length = (token & 15) + 4;
        if (length < 19 && distance >= 8) { /* mostly */
            memcpy(out, from, 8);
            memcpy(out + 8, from + 8, 8);
            memcpy(out + 16, from + 16, 2);
        } else {
            if (length == 19 && pg_lz4_more(&at, end, &length))
                return -1;
            if (length > (size_t)(stop - out))
                return -1;
            pg_lz4_copy(out, from, length);
        }
        out += length;
        if (out > stop)
            return -1;
    }
    block->at = at;
    block->out = out;
    return 0;
}

#endif
