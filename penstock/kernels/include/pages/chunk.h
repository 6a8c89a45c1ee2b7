/* What is wanted of a column chunk: the values of some rows, and the rows that may hold some literals. */
#ifndef PENSTOCK_PAGES_CHUNK_H
#define PENSTOCK_PAGES_CHUNK_H

#include "pages/find.h"
#include "pages/page.h"

/* What a search looks for: all the literals; `folds` where a text beyond ASCII may have letters that fold to theirs. */
struct pg_sought {
    const struct pg_literal *literals;
    size_t n;
    int folds;
};

/* What is asked of the rows of a page by their values that are there, in order. */
struct pg_places {
    const uint32_t *wanted; /* rows of the chunk, ascending */
    size_t next, end;       /* those that lie in the page */
    uint32_t first;         /* the page's first row */
};

/* The next value of a plain page, unpacked as far as it goes; `at` moves behind it. */
static int pg_next_plain(struct pg_walk *walk, const struct pg_page *page, size_t *at, struct pg_value *value)
{
    uint32_t size = 8;
    if (walk->chunk->type == PG_STRINGS) {
        if (pg_unpack_until(walk, page, *at + 4))
            return PG_UNFIT;
        size = pg_size_at(walk->text + *at);
        *at += 4;
    }
    if (*at + size > walk->ready && pg_unpack_until(walk, page, *at + size))
        return PG_UNFIT;
    *value = (struct pg_value){.bytes = walk->text + *at, .size = size};
    *at += size;
    return PG_OK;
}

/* The wanted rows of a plain page. Of the page no more is unpacked than they need: half of it, where they are few. */
static int pg_take_plain(struct pg_walk *walk, const struct pg_page *page, struct pg_places *places, struct pg_found *found)
{
    size_t at;
    uint32_t present;
    int result = pg_values_at(walk, page, &at);
    if (result == PG_OK)
        result = pg_read_levels(walk, page, at, &present);
    for (uint32_t row = 0; result == PG_OK && places->next < places->end; row++) {
        struct pg_value value = {.bytes = NULL, .size = 0};
        if (walk->chunk->type != PG_STRINGS && present == page->values) { /* each has 8 bytes: no need to walk */
            at += 8 * (size_t)(places->wanted[places->next] - places->first - row);
            row = places->wanted[places->next] - places->first;
        }
        if (present == page->values || walk->levels[row])
            result = pg_next_plain(walk, page, &at, &value);
        if (result == PG_OK && places->wanted[places->next] - places->first == row)
            result = pg_found_add(found, places->wanted[places->next++], value);
    }
    return result;
}

static int pg_take_by_dictionary(struct pg_walk *walk, const struct pg_page *page, struct pg_places *places,
                                 struct pg_found *found)
{
    uint32_t present, code = 0;
    int result = pg_read_codes(walk, page, &present);
    for (uint32_t row = 0; result == PG_OK && places->next < places->end; row++) {
        struct pg_value value = {.bytes = NULL, .size = 0};
        if (present == page->values || walk->levels[row])
            value = walk->entries[walk->codes[code++]];
        if (places->wanted[places->next] - places->first == row)
            result = pg_found_add(found, places->wanted[places->next++], value);
    }
    return result;
}

/* Rows `wanted`, ascending, of the chunk, and their values. */
static int pg_take(const struct pg_chunk *chunk, const uint32_t *wanted, size_t n, struct pg_found *found)
{
    struct pg_walk walk = {.reader = {.at = chunk->at, .end = chunk->end}, .chunk = chunk};
    struct pg_places places = {.wanted = wanted};
    int result = PG_OK;
    for (size_t i = 1; i < n; i++)
        if (wanted[i] <= wanted[i - 1])
            return PG_UNFIT;
    while (result == PG_OK && places.next < n) {
        struct pg_page page;
        const uint8_t *body;
        if ((result = pg_next_data_page(&walk, places.first, &page, &body)))
            break;
        while (places.end < n && wanted[places.end] - places.first < page.values)
            places.end++;
        if (places.next < places.end) {
            result = pg_begin_page(&walk, &page, body);
            if (result == PG_OK && page.encoding == PG_PLAIN)
                result = pg_take_plain(&walk, &page, &places, found);
            else if (result == PG_OK)
                result = pg_is_by_dictionary(&page) ? pg_take_by_dictionary(&walk, &page, &places, found) : PG_UNFIT;
        }
        places.first += (uint32_t)page.values;
    }
    pg_walk_drop(&walk);
    return result;
}

/* Whether every literal is in the text. */
static int pg_may_hold(const struct pg_sought *sought, const uint8_t *text, size_t size)
{
    size_t i = 0;
    while (i < sought->n && pg_find(&sought->literals[i], text, size))
        i++;
    return i == sought->n || (sought->folds && pg_has_folding(text, size));
}

/* Rows of a plain page. Its text is searched as a whole, and the values are looked at where a literal was found. */
static int pg_search_plain(struct pg_walk *walk, const struct pg_page *page, uint32_t first, uint32_t from, uint32_t to,
                           const struct pg_sought *sought, size_t most, struct pg_found *found)
{
    size_t at, size = (size_t)page->plain;
    uint32_t present;
    int result = pg_unpack_until(walk, page, size);
    if (result == PG_OK)
        result = pg_values_at(walk, page, &at);
    if (result)
        return result;
    /* What lies between two values, or in the size of one, is found too: it costs a look, and no more. */
    const uint8_t *text = walk->text, *end = text + size;
    const uint8_t *next = pg_find(&sought->literals[0], text + at, size - at);
    int has_folding = sought->folds && pg_has_folding(text + at, size - at);
    if ((!next && !has_folding) || (result = pg_read_levels(walk, page, at, &present)))
        return result;
    for (uint32_t row = first; row - first < page->values && row < to && (next || has_folding); row++) {
        struct pg_value value;
        if (present < page->values && !walk->levels[row - first])
            continue;
        if ((result = pg_next_plain(walk, page, &at, &value)))
            return result;
        if (next && next < value.bytes)
            next = pg_find(&sought->literals[0], value.bytes, (size_t)(end - value.bytes));
        int is_near = next && (size_t)(next - value.bytes) < value.size;
        if (row < from || !(is_near || has_folding) || !pg_may_hold(sought, value.bytes, value.size))
            continue;
        if ((result = found->n == most ? PG_MANY : pg_found_add(found, row, value)))
            return result;
    }
    return PG_OK;
}

/* Judges each entry of the dictionary once; returns whether any is wanted, -1 without memory. */
static int pg_judge_dictionary(struct pg_walk *walk, const struct pg_sought *sought)
{
    int any = 0;
    if (!walk->hits) {
        walk->hits = malloc((size_t)walk->n_entries + 1);
        if (!walk->hits)
            return -1;
        for (uint32_t i = 0; i < walk->n_entries; i++)
            any |= walk->hits[i] = (uint8_t)pg_may_hold(sought, walk->entries[i].bytes, walk->entries[i].size);
        walk->hits[walk->n_entries] = (uint8_t)any;
    }
    return walk->hits[walk->n_entries];
}

/* Rows of a page by dictionary. It is not even unpacked where no entry is wanted. */
static int pg_search_by_dictionary(struct pg_walk *walk, const struct pg_page *page, uint32_t first, uint32_t from,
                                   uint32_t to, const struct pg_sought *sought, size_t most, struct pg_found *found)
{
    uint32_t present, code = 0;
    int any = walk->dictionary ? pg_judge_dictionary(walk, sought) : 0, result = any < 0 ? PG_NO_MEMORY : PG_OK;
    if (walk->dictionary && any <= 0)
        return result;
    if ((result = pg_read_codes(walk, page, &present)))
        return result;
    for (uint32_t row = first; row - first < page->values && row < to; row++) {
        if (present < page->values && !walk->levels[row - first])
            continue;
        uint32_t entry = walk->codes[code++];
        if (!walk->hits[entry] || row < from)
            continue;
        if ((result = found->n == most ? PG_MANY : pg_found_add(found, row, walk->entries[entry])))
            return result;
    }
    return PG_OK;
}

/* Rows from `from` up to `to` that may hold all the literals, and their values; PG_MANY where there are more than `most`. */
static int pg_search(const struct pg_chunk *chunk, uint32_t from, uint32_t to, const struct pg_literal *literals, size_t n,
                     int folds, size_t most, struct pg_found *found)
{
    struct pg_walk walk = {.reader = {.at = chunk->at, .end = chunk->end}, .chunk = chunk};
    struct pg_sought sought = {.literals = literals, .n = n, .folds = folds};
    uint32_t first = 0;
    int result = PG_OK;
    while (result == PG_OK && first < to) {
        struct pg_page page;
        const uint8_t *body;
        if ((result = pg_next_data_page(&walk, first, &page, &body)))
            break;
        if (page.values > from || first > from - page.values) {
            result = pg_begin_page(&walk, &page, body);
            if (result == PG_OK && page.encoding == PG_PLAIN)
                result = pg_search_plain(&walk, &page, first, from, to, &sought, most, found);
            else if (result == PG_OK && pg_is_by_dictionary(&page))
                result = pg_search_by_dictionary(&walk, &page, first, from, to, &sought, most, found);
            else if (result == PG_OK)
                result = PG_UNFIT;
        }
        first += (uint32_t)page.values;
    }
    pg_walk_drop(&walk);
    return result;
}

/* Whether a value of a plain page, behind so many blocks of levels, may hold all the literals. */
static int pg_anywhere_in_page(struct pg_walk *walk, const struct pg_page *page, int levels, const struct pg_sought *sought,
                               int *may_hold)
{
    size_t at = 0, size = (size_t)page->plain;
    int result = page->levels == PG_RLE || !levels ? pg_unpack_until(walk, page, size) : PG_UNFIT;
    if (result || !(pg_find(&sought->literals[0], walk->text, size) || (sought->folds && pg_has_folding(walk->text, size))))
        return result;
    for (; levels; levels--) {
        if (size - at < 4 || pg_size_at(walk->text + at) > size - at - 4)
            return PG_UNFIT;
        at += 4 + pg_size_at(walk->text + at);
    }
    while (!*may_hold && at < size) {
        struct pg_value value;
        if ((result = pg_next_plain(walk, page, &at, &value)))
            return result;
        *may_hold = pg_may_hold(sought, value.bytes, value.size);
    }
    return PG_OK;
}

/* Whether a value of the chunk may hold all the literals, wherever it is: its levels are passed over, so lists will do. A
 * chunk of a list counts its values as rows. */
static int pg_anywhere(const struct pg_chunk *chunk, int levels, const struct pg_literal *literals, size_t n, int folds,
                       int *may_hold)
{
    struct pg_walk walk = {.reader = {.at = chunk->at, .end = chunk->end}, .chunk = chunk};
    struct pg_sought sought = {.literals = literals, .n = n, .folds = folds};
    uint32_t done = 0;
    int result = PG_OK;
    *may_hold = 0;
    while (result == PG_OK && !*may_hold && done < chunk->rows) {
        struct pg_page page;
        const uint8_t *body;
        if ((result = pg_next_data_page(&walk, done, &page, &body)))
            break;
        if (pg_is_by_dictionary(&page)) {
            int any = walk.dictionary ? pg_judge_dictionary(&walk, &sought) : 0;
            result = any < 0 ? PG_NO_MEMORY : walk.dictionary ? PG_OK : PG_UNFIT;
            *may_hold = any > 0;
        } else if (page.encoding != PG_PLAIN)
            result = PG_UNFIT;
        else if (!(result = pg_begin_page(&walk, &page, body)))
            result = pg_anywhere_in_page(&walk, &page, levels, &sought, may_hold);
        done += (uint32_t)page.values;
    }
    pg_walk_drop(&walk);
    return result;
}

#endif
