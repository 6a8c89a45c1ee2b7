/* Column chunks of our own Parquet files, page by page: flat columns of strings and of 64-bit numbers, data pages of
 * version 1, plain or by dictionary, in LZ4 or unpacked. Whatever else there is makes PG_UNFIT: Polars reads it. */
#ifndef PENSTOCK_PAGES_CHUNK_H
#define PENSTOCK_PAGES_CHUNK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pages/find.h"
#include "pages/lz4.h"
#include "pages/thrift.h"

enum pg_result { PG_OK = 0, PG_UNFIT = 1, PG_NO_MEMORY = 2, PG_MANY = 3 };

enum { PG_INT64 = 2, PG_DOUBLES = 5, PG_STRINGS = 6 };            /* physical types */
enum { PG_UNPACKED = 0, PG_LZ4 = 7 };                             /* codecs */
enum { PG_DATA_PAGE = 0, PG_DICTIONARY_PAGE = 2 };                /* kinds of pages */
enum { PG_PLAIN = 0, PG_PLAIN_DICTIONARY = 2, PG_RLE = 3, PG_RLE_DICTIONARY = 8 }; /* encodings */
enum { PG_MOST_BYTES = 1 << 30 };                                 /* of a page */

/* Where the values of one column in one row group lie. */
struct pg_chunk {
    const uint8_t *at, *end;
    int64_t type, codec;
    int optional;
    uint32_t rows;
};

/* Rows that were found, with their values one behind the other; a string ends at `ends`, a number has 8 bytes. */
struct pg_found {
    uint8_t *bytes;
    uint32_t *rows;
    uint64_t *ends;
    uint8_t *valid;
    size_t n, room, used, size;
};

struct pg_page {
    int64_t kind, encoding, levels, packed, plain, values;
};

/* One value; `bytes` is NULL where there is none. */
struct pg_value {
    const uint8_t *bytes;
    uint32_t size;
};

/* A chunk being read. */
struct pg_walk {
    struct pg_reader reader;
    const struct pg_chunk *chunk;
    uint8_t *text;       /* the unpacked page, PG_PADDING bytes more */
    uint8_t *dictionary; /* the unpacked dictionary */
    struct pg_value *entries;
    uint32_t n_entries;
    size_t room;
    struct pg_value *values; /* of the page, by row */
    uint32_t *codes;
    uint32_t values_room;
};

static void pg_found_drop(struct pg_found *found)
{
    free(found->bytes);
    free(found->rows);
    free(found->ends);
    free(found->valid);
    memset(found, 0, sizeof *found);
}

static int pg_grow(void *pointer, size_t items, size_t size)
{
    void **place = pointer;
    void *grown = realloc(*place, items * size);
    if (!grown)
        return PG_NO_MEMORY;
    *place = grown;
    return PG_OK;
}

static int pg_found_add(struct pg_found *found, uint32_t row, struct pg_value value)
{
    if (found->n == found->room) {
        size_t room = found->room ? 2 * found->room : 256;
        if (pg_grow(&found->rows, room, sizeof *found->rows) || pg_grow(&found->ends, room, sizeof *found->ends) ||
            pg_grow(&found->valid, room, 1))
            return PG_NO_MEMORY;
        found->room = room;
    }
    if (value.size > found->size - found->used) {
        size_t size = 2 * found->size + value.size + 65536;
        if (pg_grow(&found->bytes, size, 1))
            return PG_NO_MEMORY;
        found->size = size;
    }
    if (value.size)
        memcpy(found->bytes + found->used, value.bytes, value.size);
    found->used += value.size;
    found->rows[found->n] = row;
    found->valid[found->n] = value.bytes != NULL;
    found->ends[found->n++] = found->used;
    return PG_OK;
}

static void pg_walk_drop(struct pg_walk *walk)
{
    free(walk->text);
    free(walk->dictionary);
    free(walk->entries);
    free(walk->values);
    free(walk->codes);
    memset(walk, 0, sizeof *walk);
}

static int pg_read_header(struct pg_reader *r, struct pg_page *page)
{
    int64_t id = 0;
    int type;
    *page = (struct pg_page){.kind = -1, .encoding = -1, .levels = PG_RLE, .packed = -1, .plain = -1, .values = -1};
    while ((type = pg_field(r, &id)) != PG_STOP) {
        if (id == 1 && type == 5)
            page->kind = pg_integer(r);
        else if (id == 2 && type == 5)
            page->plain = pg_integer(r);
        else if (id == 3 && type == 5)
            page->packed = pg_integer(r);
        else if ((id == 5 || id == 7) && type == PG_STRUCT) {
            int64_t inner = 0;
            while ((type = pg_field(r, &inner)) != PG_STOP) {
                if (inner == 1 && type == 5)
                    page->values = pg_integer(r);
                else if (inner == 2 && type == 5)
                    page->encoding = pg_integer(r);
                else if (inner == 3 && type == 5)
                    page->levels = pg_integer(r);
                else
                    pg_skip(r, type, 0);
            }
        } else
            pg_skip(r, type, 0);
    }
    if (r->bad || page->packed < 0 || page->packed > r->end - r->at || page->plain < 0 || page->plain > PG_MOST_BYTES ||
        page->values < 0 || page->values > UINT32_MAX)
        return PG_UNFIT;
    return PG_OK;
}

static int pg_unpack(const struct pg_chunk *chunk, const struct pg_page *page, const uint8_t *body, uint8_t *out)
{
    if (chunk->codec == PG_LZ4)
        return pg_lz4(body, (size_t)page->packed, out, (size_t)page->plain) ? PG_UNFIT : PG_OK;
    if (page->packed != page->plain)
        return PG_UNFIT;
    memcpy(out, body, (size_t)page->plain);
    return PG_OK;
}

/* `count` plain values that begin at `at`; those beyond what is there make PG_UNFIT. */
static int pg_plain(int64_t type, struct pg_reader *r, struct pg_value *values, uint32_t count)
{
    const uint8_t *at = r->at, *end = r->end;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = 8;
        if (type == PG_STRINGS) {
            if (end - at < 4)
                return PG_UNFIT;
            size = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
            at += 4;
        }
        if (size > (size_t)(end - at))
            return PG_UNFIT;
        values[i] = (struct pg_value){.bytes = at, .size = size};
        at += size;
    }
    r->at = at;
    return PG_OK;
}

/* `count` numbers of `width` bits in Parquet's mix of runs and packed bits. */
static int pg_hybrid(struct pg_reader *r, unsigned width, uint32_t *out, uint32_t count)
{
    uint32_t done = 0;
    if (width > 32)
        return PG_UNFIT;
    while (done < count) {
        uint64_t head = pg_varint(r);
        if (r->bad)
            return PG_UNFIT;
        if (head & 1) {
            uint64_t groups = head >> 1;
            if (groups == 0 || groups > UINT32_MAX || (width && groups > (uint64_t)(r->end - r->at) / width + 1))
                return PG_UNFIT;
            uint64_t bits = 0;
            unsigned held = 0;
            const uint8_t *end = (uint64_t)(r->end - r->at) < groups * width ? r->end : r->at + groups * width;
            for (uint64_t i = 0; i < 8 * groups && done < count; i++) {
                while (held < width) {
                    if (r->at == end)
                        return PG_UNFIT;
                    bits |= (uint64_t)*r->at++ << held;
                    held += 8;
                }
                out[done++] = (uint32_t)(bits & ((1ull << width) - 1));
                bits >>= width;
                held -= width;
            }
            r->at = end;
        } else {
            uint64_t run = head >> 1;
            uint32_t value = 0;
            for (unsigned i = 0; i < (width + 7) / 8; i++)
                value |= (uint32_t)pg_byte(r) << 8 * i;
            if (r->bad || run == 0 || (uint64_t)value >> width)
                return PG_UNFIT;
            for (; run && done < count; run--)
                out[done++] = value;
        }
    }
    return PG_OK;
}

static int pg_read_dictionary(struct pg_walk *walk, const struct pg_page *page, const uint8_t *body)
{
    if (walk->dictionary || page->encoding > PG_PLAIN_DICTIONARY || page->encoding == 1 || page->values > page->plain)
        return PG_UNFIT;
    walk->dictionary = malloc((size_t)page->plain + PG_PADDING);
    walk->entries = malloc(((size_t)page->values + 1) * sizeof *walk->entries);
    if (!walk->dictionary || !walk->entries)
        return PG_NO_MEMORY;
    walk->n_entries = (uint32_t)page->values;
    if (pg_unpack(walk->chunk, page, body, walk->dictionary))
        return PG_UNFIT;
    struct pg_reader r = {.at = walk->dictionary, .end = walk->dictionary + page->plain};
    return pg_plain(walk->chunk->type, &r, walk->entries, walk->n_entries);
}

/* The values of a data page, by row, in `walk->values`. */
static int pg_read_values(struct pg_walk *walk, const struct pg_page *page, const uint8_t *body)
{
    uint32_t count = (uint32_t)page->values, present = count;
    int result;
    if ((size_t)page->plain + PG_PADDING > walk->room) {
        if (pg_grow(&walk->text, (size_t)page->plain + PG_PADDING, 1))
            return PG_NO_MEMORY;
        walk->room = (size_t)page->plain + PG_PADDING;
    }
    if (count > walk->values_room) {
        if (pg_grow(&walk->values, count, sizeof *walk->values) || pg_grow(&walk->codes, count, sizeof *walk->codes))
            return PG_NO_MEMORY;
        walk->values_room = count;
    }
    if (pg_unpack(walk->chunk, page, body, walk->text))
        return PG_UNFIT;
    struct pg_reader r = {.at = walk->text, .end = walk->text + page->plain};
    uint8_t *is_there = NULL;
    if (walk->chunk->optional) {
        if (page->levels != PG_RLE || r.end - r.at < 4)
            return PG_UNFIT;
        uint32_t size = r.at[0] | (uint32_t)r.at[1] << 8 | (uint32_t)r.at[2] << 16 | (uint32_t)r.at[3] << 24;
        r.at += 4;
        if (size > (size_t)(r.end - r.at))
            return PG_UNFIT;
        struct pg_reader levels = {.at = r.at, .end = r.at + size};
        r.at += size;
        if ((result = pg_hybrid(&levels, 1, walk->codes, count)))
            return result;
        present = 0;
        for (uint32_t i = 0; i < count; i++)
            present += walk->codes[i];
        if (present < count) {
            is_there = malloc((size_t)count + 1);
            if (!is_there)
                return PG_NO_MEMORY;
            for (uint32_t i = 0; i < count; i++)
                is_there[i] = (uint8_t)walk->codes[i];
        }
    }
    if (page->encoding == PG_PLAIN)
        result = pg_plain(walk->chunk->type, &r, walk->values, present);
    else if ((page->encoding == PG_RLE_DICTIONARY || page->encoding == PG_PLAIN_DICTIONARY) && walk->dictionary) {
        result = present ? pg_hybrid(&r, pg_byte(&r), walk->codes, present) : PG_OK;
        for (uint32_t i = 0; result == PG_OK && i < present; i++) {
            if (walk->codes[i] >= walk->n_entries)
                result = PG_UNFIT;
            else
                walk->values[i] = walk->entries[walk->codes[i]];
        }
    } else
        result = PG_UNFIT;
    if (result == PG_OK && is_there) /* from the end, so that nothing is overwritten before it has moved */
        for (uint32_t i = count; i-- > 0;)
            walk->values[i] = is_there[i] ? walk->values[--present] : (struct pg_value){.bytes = NULL, .size = 0};
    free(is_there);
    return result;
}

/* Whether every literal is in the text; a text beyond ASCII may have other letters that fold to `s` and `k`. */
static int pg_may_hold(const struct pg_literal *literals, size_t n, int folds, struct pg_value value)
{
    size_t i = 0;
    while (i < n && pg_find(&literals[i], value.bytes, value.size))
        i++;
    return i == n || (folds && pg_is_foreign(value.bytes, value.size));
}

/* The next data page, whose first row is `first`, and its body; dictionaries on the way are read. */
static int pg_next_data_page(struct pg_walk *walk, uint32_t first, struct pg_page *page, const uint8_t **body)
{
    int result;
    while (!(result = pg_read_header(&walk->reader, page))) {
        *body = walk->reader.at;
        walk->reader.at += page->packed;
        if (page->kind != PG_DICTIONARY_PAGE)
            return page->kind != PG_DATA_PAGE || page->values > walk->chunk->rows - first ? PG_UNFIT : PG_OK;
        if ((result = pg_read_dictionary(walk, page, *body)))
            break;
    }
    return result;
}

/* Rows `wanted`, ascending, of the chunk, and their values. */
static int pg_take(const struct pg_chunk *chunk, const uint32_t *wanted, size_t n, struct pg_found *found)
{
    struct pg_walk walk = {.reader = {.at = chunk->at, .end = chunk->end}, .chunk = chunk};
    uint32_t first = 0;
    size_t next = 0;
    int result = PG_OK;
    while (result == PG_OK && next < n) {
        struct pg_page page;
        const uint8_t *body;
        if ((result = pg_next_data_page(&walk, first, &page, &body)))
            break;
        uint32_t end = first + (uint32_t)page.values;
        if (wanted[next] < end)
            result = pg_read_values(&walk, &page, body);
        for (; result == PG_OK && next < n && wanted[next] < end; next++)
            result = wanted[next] < first ? PG_UNFIT : pg_found_add(found, wanted[next], walk.values[wanted[next] - first]);
        first = end;
    }
    pg_walk_drop(&walk);
    return result;
}

/* Rows from `from` up to `to` that may hold all the literals, and their values; PG_MANY where there are more than `most`. */
static int pg_search(const struct pg_chunk *chunk, uint32_t from, uint32_t to, const struct pg_literal *literals, size_t n,
                     int folds, size_t most, struct pg_found *found)
{
    struct pg_walk walk = {.reader = {.at = chunk->at, .end = chunk->end}, .chunk = chunk};
    uint32_t first = 0;
    int result = PG_OK;
    while (result == PG_OK && first < to) {
        struct pg_page page;
        const uint8_t *body;
        if ((result = pg_next_data_page(&walk, first, &page, &body)))
            break;
        uint32_t end = first + (uint32_t)page.values;
        if (end > from)
            result = pg_read_values(&walk, &page, body);
        for (uint32_t row = first < from ? from : first; result == PG_OK && row < end && row < to; row++) {
            struct pg_value value = walk.values[row - first];
            if (!value.bytes || !pg_may_hold(literals, n, folds, value))
                continue;
            result = found->n == most ? PG_MANY : pg_found_add(found, row, value);
        }
        first = end;
    }
    pg_walk_drop(&walk);
    return result;
}

#endif
