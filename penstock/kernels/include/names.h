/* The names of the fields in an overflow: the members of its objects, each found once, or a few times. */
#ifndef PENSTOCK_NAMES_H
#define PENSTOCK_NAMES_H

#include "plain.h"
#include "views.h"

#define NM_LATELY 4096 /* names of which a repeat is noticed */

struct nm_name {
    const uint8_t *text; /* between its quotes, escapes and all */
    size_t bytes;
};

/* Where the search stands. `object` is the text of the row at hand; NULL between rows. */
struct nm_search {
    const struct ArrowArray *array;
    int64_t row;
    const uint8_t *object;
    size_t bytes, at;
    int64_t depth;
    int is_broken; /* a view outside its buffer, or a string without an end */
    struct nm_name lately[NM_LATELY];
};

/* Whether the very name was among the last; notes it. Compared byte by byte: names that a hash takes for one would lose
 * a field. */
static inline int nm_is_repeat(struct nm_search *search, const uint8_t *text, size_t bytes)
{
    uint64_t hash = bytes * 0x9E3779B97F4A7C15ull, word = 0;
    size_t step = bytes > 8 ? 8 : bytes;
    memcpy(&word, text, step);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15ull;
    memcpy(&word, text + bytes - step, step);
    hash = (hash ^ word ^ hash >> 29) * 0x9E3779B97F4A7C15ull;
    struct nm_name *slot = &search->lately[hash >> 52];
    if (slot->text && slot->bytes == bytes && !memcmp(slot->text, text, bytes))
        return 1;
    *slot = (struct nm_name){text, bytes};
    return 0;
}

/* The quote that ends the string that begins at `at`; `bytes` if none does. */
static inline size_t nm_string_end(const uint8_t *text, size_t at, size_t bytes)
{
    at = pl_plain_end(text, at, bytes);
    while (at < bytes && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at < bytes ? at : bytes;
}

/* The next name of the object at hand that was not met lately; 0 at its end. */
static int nm_next_member(struct nm_search *search, struct nm_name *found)
{
    const uint8_t *text = search->object;
    size_t bytes = search->bytes;
    while (search->at < bytes) {
        uint8_t c = text[search->at++];
        search->depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        if (c != '"')
            continue;
        size_t start = search->at, end = nm_string_end(text, start, bytes);
        search->at = end + 1;
        if (end == bytes) {
            search->is_broken = 1;
            return 0;
        }
        if (search->depth == 1 && end + 1 < bytes && text[end + 1] == ':' && !nm_is_repeat(search, text + start, end - start)) {
            *found = (struct nm_name){text + start, end - start};
            return 1;
        }
    }
    return 0;
}

/* The next name that was not met lately; 0 at the end of the array, and where it is broken. */
static int nm_next(struct nm_search *search, struct nm_name *found)
{
    const struct ArrowArray *array = search->array;
    const uint8_t *validity = array->buffers[0];
    const struct vw_view *views = array->buffers[1];
    int64_t to = array->offset + array->length;
    for (;;) {
        if (search->object && nm_next_member(search, found))
            return 1;
        search->object = NULL;
        while (search->row < to && !vw_is_valid(validity, search->row))
            search->row++;
        if (search->row >= to || search->is_broken)
            return 0;
        search->object = vw_text(views + search->row, array);
        search->is_broken = !search->object;
        search->bytes = (size_t)views[search->row].bytes;
        search->at = 0;
        search->depth = 0;
        search->row++;
    }
}

#endif
