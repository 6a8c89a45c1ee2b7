/* Thrift's compact protocol, as much of it as Parquet's footers and page headers need. Never reads past the end. */
#ifndef PENSTOCK_PAGES_THRIFT_H
#define PENSTOCK_PAGES_THRIFT_H

#include <stddef.h>
#include <stdint.h>

enum { PG_STOP = 0, PG_TRUE = 1, PG_FALSE = 2, PG_BYTE = 3, PG_DOUBLE = 7, PG_BINARY = 8, PG_LIST = 9, PG_SET = 10,
       PG_MAP = 11, PG_STRUCT = 12 };

enum { PG_DEEPEST = 16 };

/* Bytes still to read; `bad` once they were not what they should be, and all that is read then is zeros. */
struct pg_reader {
    const uint8_t *at;
    const uint8_t *end;
    int bad;
};

static uint8_t pg_byte(struct pg_reader *r)
{
    if (r->at == r->end) {
        r->bad = 1;
        return 0;
    }
    return *r->at++;
}

static uint64_t pg_varint(struct pg_reader *r)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = pg_byte(r);
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return value;
    }
    r->bad = 1;
    return 0;
}

static int64_t pg_integer(struct pg_reader *r)
{
    uint64_t coded = pg_varint(r);
    return (int64_t)(coded >> 1 ^ (0 - (coded & 1)));
}

/* The type of a struct's next field, PG_STOP at its end; `id` is the id of the field before, and becomes this one's. */
static int pg_field(struct pg_reader *r, int64_t *id)
{
    uint8_t head = pg_byte(r);
    if (r->bad || head == 0)
        return PG_STOP;
    *id = head >> 4 ? *id + (head >> 4) : pg_integer(r);
    return head & 15;
}

/* The number of items of a list; `type` becomes theirs. */
static uint64_t pg_list(struct pg_reader *r, int *type)
{
    uint8_t head = pg_byte(r);
    uint64_t items = head >> 4 == 15 ? pg_varint(r) : head >> 4;
    *type = head & 15;
    if (items > (uint64_t)(r->end - r->at)) { /* each item has a byte at least */
        r->bad = 1;
        return 0;
    }
    return items;
}

/* A string; its length goes to `size`. */
static const uint8_t *pg_binary(struct pg_reader *r, size_t *size)
{
    uint64_t length = pg_varint(r);
    const uint8_t *start = r->at;
    if (r->bad || length > (uint64_t)(r->end - r->at)) {
        r->bad = 1;
        *size = 0;
        return start;
    }
    *size = (size_t)length;
    r->at += length;
    return start;
}

static void pg_skip(struct pg_reader *r, int type, int depth)
{
    size_t size;
    int64_t id = 0;
    if (depth > PG_DEEPEST || r->bad) {
        r->bad = 1;
        return;
    }
    switch (type) {
    case PG_TRUE:
    case PG_FALSE:
        return;
    case PG_BYTE:
        pg_byte(r);
        return;
    case 4:
    case 5:
    case 6:
        pg_varint(r);
        return;
    case PG_DOUBLE:
        if (r->end - r->at < 8)
            r->bad = 1;
        else
            r->at += 8;
        return;
    case PG_BINARY:
        pg_binary(r, &size);
        return;
    case PG_LIST:
    case PG_SET: {
        int inner;
        uint64_t items = pg_list(r, &inner);
        for (; items && !r->bad; items--)
            pg_skip(r, inner <= PG_FALSE ? PG_BYTE : inner, depth + 1); /* a boolean in a list is a byte */
        return;
    }
    case PG_STRUCT:
        while ((type = pg_field(r, &id)) != PG_STOP)
            pg_skip(r, type, depth + 1);
        return;
    default: /* maps: Parquet has none */
        r->bad = 1;
    }
}

#endif
