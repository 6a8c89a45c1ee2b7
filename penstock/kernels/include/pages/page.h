/* Pages of our own Parquet files: flat columns of strings and of 64-bit numbers, data pages of version 1, plain or by
 * dictionary, in LZ4 or unpacked. Whatever else there is makes PG_UNFIT: Polars reads it. */
#ifndef PENSTOCK_PAGES_PAGE_H
#define PENSTOCK_PAGES_PAGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
    uint8_t *text; /* the unpacked page, PG_PADDING bytes more */
    size_t room;
    struct pg_lz4 lz4;   /* of the page, where it is unpacked up to `ready` */
    size_t ready;        /* bytes of `text` that are there */
    uint8_t *dictionary; /* the unpacked dictionary */
    struct pg_value *entries;
    uint8_t *hits; /* for each entry whether a search wants it; made with the first page that asks */
    uint32_t n_entries;
    uint32_t *levels; /* of the page, by row: 1 where there is a value */
    uint32_t *codes;  /* of the values that there are */
    uint32_t rows_room;
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
    free(walk->hits);
    free(walk->levels);
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

/* The size of the string behind these four bytes. */
static inline uint32_t pg_size_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* `count` plain values; those beyond what is there make PG_UNFIT. */
static int pg_plain(int64_t type, struct pg_reader *r, struct pg_value *values, uint32_t count)
{
    const uint8_t *at = r->at, *end = r->end;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = 8;
        if (type == PG_STRINGS) {
            if (end - at < 4)
                return PG_UNFIT;
            size = pg_size_at(at);
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
    if (walk->chunk->codec == PG_LZ4) {
        struct pg_lz4 lz4 = pg_lz4_begin(body, (size_t)page->packed, walk->dictionary, (size_t)page->plain);
        if (pg_lz4_until(&lz4, (size_t)page->plain))
            return PG_UNFIT;
    } else if (page->packed != page->plain)
        return PG_UNFIT;
    else
        memcpy(walk->dictionary, body, (size_t)page->plain);
    struct pg_reader r = {.at = walk->dictionary, .end = walk->dictionary + page->plain};
    return pg_plain(walk->chunk->type, &r, walk->entries, walk->n_entries);
}

static int pg_is_by_dictionary(const struct pg_page *page)
{
    return page->encoding == PG_RLE_DICTIONARY || page->encoding == PG_PLAIN_DICTIONARY;
}

/* Makes room for the page and unpacks nothing yet. */
static int pg_begin_page(struct pg_walk *walk, const struct pg_page *page, const uint8_t *body)
{
    uint32_t count = (uint32_t)page->values;
    if ((size_t)page->plain + PG_PADDING > walk->room) {
        if (pg_grow(&walk->text, (size_t)page->plain + PG_PADDING, 1))
            return PG_NO_MEMORY;
        walk->room = (size_t)page->plain + PG_PADDING;
    }
    if (count > walk->rows_room) {
        if (pg_grow(&walk->levels, count, sizeof *walk->levels) || pg_grow(&walk->codes, count, sizeof *walk->codes))
            return PG_NO_MEMORY;
        walk->rows_room = count;
    }
    walk->ready = 0;
    walk->lz4 = pg_lz4_begin(body, (size_t)page->packed, walk->text, (size_t)page->plain);
    if (walk->chunk->codec == PG_LZ4)
        return PG_OK;
    if (page->packed != page->plain)
        return PG_UNFIT;
    memcpy(walk->text, body, (size_t)page->plain);
    walk->ready = (size_t)page->plain;
    return PG_OK;
}

/* Unpacks the page's first `bytes` at least. */
static int pg_unpack_until(struct pg_walk *walk, const struct pg_page *page, size_t bytes)
{
    if (bytes > (size_t)page->plain)
        return PG_UNFIT;
    if (bytes > walk->ready) {
        if (pg_lz4_until(&walk->lz4, bytes))
            return PG_UNFIT;
        walk->ready = (size_t)(walk->lz4.out - walk->text);
    }
    return PG_OK;
}

/* Where the values begin in the page's text, behind its levels; these are unpacked. */
static int pg_values_at(struct pg_walk *walk, const struct pg_page *page, size_t *at)
{
    *at = 0;
    if (!walk->chunk->optional)
        return PG_OK;
    int result = page->levels == PG_RLE ? pg_unpack_until(walk, page, 4) : PG_UNFIT;
    if (result)
        return result;
    *at = 4 + (size_t)pg_size_at(walk->text);
    return pg_unpack_until(walk, page, *at);
}

/* Reads the levels, which lie before `at`; `present`: rows that have a value. */
static int pg_read_levels(struct pg_walk *walk, const struct pg_page *page, size_t at, uint32_t *present)
{
    uint32_t count = (uint32_t)page->values;
    *present = count;
    if (!walk->chunk->optional)
        return PG_OK;
    struct pg_reader levels = {.at = walk->text + 4, .end = walk->text + at};
    int result = pg_hybrid(&levels, 1, walk->levels, count);
    if (result)
        return result;
    *present = 0;
    for (uint32_t i = 0; i < count; i++)
        *present += walk->levels[i];
    return PG_OK;
}

/* Reads levels and codes of a page by dictionary, all of them less than `n_entries`. */
static int pg_read_codes(struct pg_walk *walk, const struct pg_page *page, uint32_t *present)
{
    size_t at;
    int result = walk->dictionary ? pg_values_at(walk, page, &at) : PG_UNFIT;
    if (result == PG_OK)
        result = pg_unpack_until(walk, page, (size_t)page->plain);
    if (result == PG_OK)
        result = pg_read_levels(walk, page, at, present);
    if (result || !*present)
        return result;
    struct pg_reader r = {.at = walk->text + at, .end = walk->text + page->plain};
    result = pg_hybrid(&r, pg_byte(&r), walk->codes, *present);
    for (uint32_t i = 0; result == PG_OK && i < *present; i++)
        if (walk->codes[i] >= walk->n_entries)
            return PG_UNFIT;
    return result;
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

#endif
