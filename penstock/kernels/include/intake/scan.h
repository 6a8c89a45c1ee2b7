/* The pass over the text: every byte is looked at once and checked strictly, every value becomes a leaf.
 *
 * A line is refused unless it is plainly right; what the reference would accept after all (keys with escapes or very many
 * keys in an object inside a list) it hands back in its own spelling, and `is_trusted` lets it in. */
#ifndef PENSTOCK_INTAKE_SCAN_H
#define PENSTOCK_INTAKE_SCAN_H

#include "names.h"

#define PK_MAX_DEPTH 200   /* fields.flatten.MAX_DEPTH */
#define PK_MAX_MEMBERS 64  /* of an object inside a list; each is compared with all before it */
#define PK_FLAT_FREE 65536 /* fields.flatten: bytes that the dotted names of an event may have in any case, */
#define PK_FLAT_RATIO 32   /* and for each byte of its text */

static pk_text pk_scan_value(struct pk_intake *k, pk_text p, int depth, enum pk_kind *kind, uint8_t *is_dirty);

/* Goes past spaces; notes that there were some. */
PK_INLINE pk_text pk_skip_dirty(pk_text p, uint8_t *is_dirty)
{
    pk_text q = pk_skip(p);
    *is_dirty |= q != p;
    return q;
}

/* An object inside a list: only checked. p stands behind the brace. Returns what follows it. */
static pk_text pk_scan_members(struct pk_intake *k, pk_text p, int depth, uint8_t *is_dirty)
{
    struct {
        pk_text at;
        size_t bytes;
    } seen[PK_MAX_MEMBERS];
    unsigned n = 0;
    enum pk_kind kind;
    p = pk_skip_dirty(p, is_dirty);
    if (*p == '}')
        return p + 1;
    if (depth > PK_MAX_DEPTH)
        return NULL;
    for (;;) {
        if (*p != '"')
            return NULL;
        pk_text key = p + 1;
        if (!(p = pk_scan_string(key, &kind)))
            return NULL;
        *is_dirty |= kind != PK_STRING;
        if (!k->is_trusted) {
            if (n == PK_MAX_MEMBERS || kind != PK_STRING)
                return NULL;
            size_t bytes = (size_t)(p - key);
            for (unsigned i = 0; i < n; i++)
                if (seen[i].bytes == bytes && !memcmp(seen[i].at, key, bytes))
                    return NULL;
            seen[n].at = key;
            seen[n++].bytes = bytes;
        }
        p = pk_skip_dirty(p + 1, is_dirty);
        if (*p != ':')
            return NULL;
        p = pk_skip_dirty(p + 1, is_dirty);
        if (!(p = pk_scan_value(k, p, depth, &kind, is_dirty)))
            return NULL;
        p = pk_skip_dirty(p, is_dirty);
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = pk_skip_dirty(p + 1, is_dirty);
    }
}

/* p stands behind the bracket. */
static pk_text pk_scan_list(struct pk_intake *k, pk_text p, int depth, enum pk_kind *kind, uint8_t *is_dirty)
{
    *kind = PK_STRINGS;
    p = pk_skip_dirty(p, is_dirty);
    if (*p == ']')
        return p + 1;
    if (depth > PK_MAX_DEPTH)
        return NULL;
    for (;;) {
        enum pk_kind item;
        if (!(p = pk_scan_value(k, p, depth, &item, is_dirty)))
            return NULL;
        if (item != PK_STRING && item != PK_ESCAPED)
            *kind = PK_LIST;
        p = pk_skip_dirty(p, is_dirty);
        if (*p == ']')
            return p + 1;
        if (*p != ',')
            return NULL;
        p = pk_skip_dirty(p + 1, is_dirty);
    }
}

PK_INLINE pk_text pk_scan_word(pk_text p, const char *word, size_t n) { return memcmp(p, word, n) ? NULL : p + n; }

/* Any value at `depth` levels of others; returns what follows it. Objects with members come only inside lists. */
static pk_text pk_scan_value(struct pk_intake *k, pk_text p, int depth, enum pk_kind *kind, uint8_t *is_dirty)
{
    switch (*p) {
    case '"':
        if (!(p = pk_scan_string(p + 1, kind)))
            return NULL;
        *is_dirty |= *kind != PK_STRING;
        return p + 1;
    case '[':
        return pk_scan_list(k, p + 1, depth + 1, kind, is_dirty);
    case '{':
        p = pk_scan_members(k, p + 1, depth + 1, is_dirty);
        *kind = PK_LIST;
        return p;
    case 't':
        *kind = PK_TRUE;
        return pk_scan_word(p, "true", 4);
    case 'f':
        *kind = PK_FALSE;
        return pk_scan_word(p, "false", 5);
    case 'n':
        *kind = PK_NULL_VALUE;
        return pk_scan_word(p, "null", 4);
    default:
        return pk_scan_number(p, kind);
    }
}

/* The node of the key whose first character is at p; *end is what follows its closing quote. 0: the key is wrong. */
static __attribute__((noinline)) uint32_t pk_other_key(struct pk_intake *k, uint32_t parent, pk_text p, pk_text *end)
{
    enum pk_kind kind;
    pk_text close = pk_scan_string(p, &kind), key = p;
    if (!close || kind == PK_LONE)
        return 0;
    size_t n = (size_t)(close - p);
    if (kind == PK_ESCAPED) {
        uint8_t *o = pk_room(&k->out_of_memory, &k->scratch, n);
        n = (size_t)(pk_unescape(o, p, close) - o);
        key = o;
    }
    *end = close + 1;
    return pk_find_node(k, parent, key, n);
}

/* Notes a value under the name of its node; 0 if the event has the name already, or too many bytes of names. */
PK_INLINE int pk_add_leaf(struct pk_intake *k, uint32_t n, pk_text start, pk_text end, enum pk_kind kind, uint8_t is_dirty)
{
    if (PK_UNLIKELY(k->nodes[n].field == PK_NO_FIELD) && !pk_name_field(k, n))
        return 0;
    uint32_t f = k->nodes[n].field;
    struct pk_field *field = &k->fields[f];
    k->flat_bytes += field->bytes;
    if (PK_UNLIKELY(field->stamp == k->stamp || k->flat_bytes > k->flat_limit))
        return 0;
    field->stamp = k->stamp;
    field->rows++;
    PK_INTAKE_ENSURE(k, k->leaves, k->leaves_size, k->n_leaves + 1);
    if (PK_UNLIKELY(field->rank)) {
        k->time_ranks |= 1u << field->rank;
        k->time_leaf[field->rank] = (uint32_t)k->n_leaves;
    }
    k->leaves[k->n_leaves++] =
        (struct pk_leaf){f, (uint32_t)(start - k->base), (uint32_t)(end - start), (uint8_t)kind, is_dirty};
    return 1;
}

/* The members of the event, or of an object in it, at `depth`. p stands behind the brace and spaces, before a member;
 * returns what follows the closing brace. */
static pk_text pk_scan_object(struct pk_intake *k, pk_text p, uint32_t parent, int depth)
{
    uint32_t before = 0; /* the key that came before this one */
    if (depth > PK_MAX_DEPTH)
        return NULL;
    for (;; p = pk_skip(p + 1)) {
        if (*p++ != '"')
            return NULL;
        /* Numbers, not pointers: nodes move when their array grows. */
        uint32_t n = before ? k->nodes[before].next : k->nodes[parent].first;
        const struct pk_node *guess = &k->nodes[n];
        if (PK_LIKELY(n && guess->is_plain && guess->bytes < (size_t)(k->end - p)
                      && !memcmp(p, k->names.start + guess->at, guess->bytes) && p[guess->bytes] == '"'))
            p += guess->bytes + 1;
        else {
            if (!(n = pk_other_key(k, parent, p, &p)))
                return NULL;
            /* Events of one source have their keys in the same order: the next one mostly needs one comparison a
             * key, and no hash. */
            *(before ? &k->nodes[before].next : &k->nodes[parent].first) = n;
        }
        if (k->nodes[n].stamp == k->stamp)
            return NULL; /* the name twice in this object */
        k->nodes[n].stamp = k->stamp;
        before = n;
        p = pk_skip(p);
        if (*p != ':')
            return NULL;
        p = pk_skip(p + 1);
        pk_text start = p;
        enum pk_kind kind = PK_EMPTY;
        uint8_t is_dirty = 0;
        if (PK_LIKELY(*p == '"')) {
            if (!(p = pk_scan_string(p + 1, &kind)))
                return NULL;
            is_dirty = kind != PK_STRING;
            p++;
        } else if (*p != '{') {
            if (!(p = pk_scan_value(k, p, depth, &kind, &is_dirty)))
                return NULL;
        } else {
            p = pk_skip_dirty(p + 1, &is_dirty);
            if (*p != '}') {
                if (!(p = pk_scan_object(k, p, n, depth + 1)))
                    return NULL;
                goto follows; /* its members are the leaves */
            }
            p++;
        }
        if (!pk_add_leaf(k, n, start, p, kind, is_dirty))
            return NULL;
    follows:
        p = pk_skip(p);
        if (*p != ',')
            return *p == '}' ? p + 1 : NULL;
    }
}

#endif
