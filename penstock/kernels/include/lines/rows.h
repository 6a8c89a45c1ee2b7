/* Rows: the selection laid out once (keys, hash of names), then the loop that writes line after line. */
#ifndef PENSTOCK_LINES_ROWS_H
#define PENSTOCK_LINES_ROWS_H

#include "lines/column.h"

/* One field of the selection. `key` is `,"name":`, padded so that it can be copied in steps of PK_KEY_STEP bytes. */
#define PK_KEY_STEP 32
struct pk_field {
    const uint8_t *key;
    uint32_t key_bytes;
};

/* The selection; never changes, shared by all threads. */
struct pk_layout {
    uint32_t n_fields;
    struct pk_field *fields;
    uint32_t slots; /* of the hash table; a power of two, more than n_fields */
    uint32_t *table; /* field number + 1; 0: free */
    size_t row_bound; /* a row's keys, punctuation and values that do not reserve for themselves */
};

/* Where a row's overflow holds a field's value. */
struct pk_span {
    const uint8_t *at;
    size_t bytes;
    int64_t row; /* the span counts in this row only */
};

/* One batch being written. */
struct pk_batch {
    const struct pk_layout *layout;
    struct pk_column **columns;  /* of each field; NULL: the frame has none */
    uint32_t *active;            /* fields whose column holds any value in this batch */
    uint32_t n_active;
    struct pk_column *overflow;  /* NULL: none in this batch */
    struct pk_span *spans;       /* of each field */
    int64_t length;
    int64_t row;                 /* next to write */
    uint32_t failed_field;       /* where `error` happened; n_fields: the overflow */
};

static uint32_t pk_name_hash(const uint8_t *s, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ s[i]) * 16777619u;
    return h ^ h >> 15;
}

/* Compute the row bound and the hash table of a layout whose fields are filled in and whose table is zeroed. */
static void pk_layout_finish(struct pk_layout *layout)
{
    layout->row_bound = PK_SLOP;
    for (uint32_t f = 0; f < layout->n_fields; f++) {
        const struct pk_field *field = &layout->fields[f];
        layout->row_bound += field->key_bytes + PK_KEY_STEP + PK_VALUE_BOUND;
        /* Without comma and colon: the name with its quotes, as it stands in an overflow. */
        uint32_t slot = pk_name_hash(field->key + 1, field->key_bytes - 2) & (layout->slots - 1);
        while (layout->table[slot])
            slot = (slot + 1) & (layout->slots - 1);
        layout->table[slot] = f + 1;
    }
}

/* Field of this name (as JSON writes it, quotes included), or -1. */
static int64_t pk_field_of(const struct pk_layout *layout, const uint8_t *name, size_t bytes)
{
    uint32_t slot = pk_name_hash(name, bytes) & (layout->slots - 1);
    for (; layout->table[slot]; slot = (slot + 1) & (layout->slots - 1)) {
        const struct pk_field *field = &layout->fields[layout->table[slot] - 1];
        if (field->key_bytes - 2 == bytes && !memcmp(field->key + 1, name, bytes))
            return layout->table[slot] - 1;
    }
    return -1;
}

/* Scanners of an overflow text: each returns the byte after what it passed, or NULL if that is not there whole before e. */
static const uint8_t *pk_pass_string(const uint8_t *s, const uint8_t *e)
{
    if (s == e || *s != '"')
        return NULL;
    for (s++; s < e; s++) {
        if (*s == '"')
            return s + 1;
        if (*s == '\\')
            s++;
        if (s == e || *s < 0x20)
            return NULL;
    }
    return NULL;
}

static const uint8_t *pk_pass_value(const uint8_t *s, const uint8_t *e)
{
    if (s == e)
        return NULL;
    if (*s == '"')
        return pk_pass_string(s, e);
    if (*s != '[' && *s != '{') {
        const uint8_t *start = s;
        while (s < e && ((*s >= '0' && *s <= '9') || (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '+' || *s == '-' || *s == '.'))
            s++;
        return s == start ? NULL : s;
    }
    size_t depth = 0;
    while (s < e) {
        if (*s == '"') {
            s = pk_pass_string(s, e);
            if (!s)
                return NULL;
            continue;
        }
        if (*s < 0x20)
            return NULL;
        if (*s == '[' || *s == '{')
            depth++;
        else if ((*s == ']' || *s == '}') && --depth == 0)
            return s + 1;
        s++;
    }
    return NULL;
}

/* Note where the overflow of `row` holds selected fields; 0 if it is not one compact JSON object. */
static int pk_scan_overflow(struct pk_batch *batch, int64_t row, struct pk_text text)
{
    const uint8_t *s = text.at, *e = s + text.bytes;
    if (s == e || *s++ != '{')
        return 0;
    if (e - s == 1 && *s == '}')
        return 1;
    for (;;) {
        const uint8_t *name = s, *name_end = pk_pass_string(s, e);
        if (!name_end || name_end == e || *name_end != ':')
            return 0;
        s = pk_pass_value(name_end + 1, e);
        if (!s || s == e)
            return 0;
        int64_t field = pk_field_of(batch->layout, name, (size_t)(name_end - name));
        /* A later member of the same name replaces the earlier one. The row's number makes spans of other rows
         * invalid, so that nothing is cleared between rows. */
        if (field >= 0)
            batch->spans[field] = (struct pk_span){name_end + 1, (size_t)(s - name_end - 1), row};
        if (*s == '}')
            return s + 1 == e;
        if (*s++ != ',')
            return 0;
    }
}

PK_INLINE uint8_t *pk_put_key(uint8_t *o, const struct pk_field *field)
{
    memcpy(o, field->key, PK_KEY_STEP);
    for (uint32_t i = PK_KEY_STEP; PK_UNLIKELY(i < field->key_bytes); i += PK_KEY_STEP)
        memcpy(o + i, field->key + i, PK_KEY_STEP);
    return o + field->key_bytes;
}

/* The value of a field in the row's overflow, with its key, and its mark. */
static uint8_t *pk_put_span(struct pk_output *out, uint8_t *o, struct pk_span span, struct pk_mark **mark, uint32_t f, size_t rest)
{
    size_t start = (size_t)(o - out->start);
    o = pk_put_raw(out, o, (struct pk_text){span.at, span.bytes, NULL}, rest);
    if (!o)
        return NULL;
    int is_number = *span.at == '-' || (*span.at >= '0' && *span.at <= '9');
    *mark = pk_note(out, *mark, start, o, *span.at == '"', f % PK_COLUMNS, is_number ? PK_MARK_NUMBER : PK_MARK_TEXT);
    return o;
}

/* Fields of a row that has an overflow; the row bound is reserved. */
static __attribute__((noinline)) uint8_t *pk_put_merged(
    struct pk_output *out, uint8_t *o, struct pk_batch *batch, int64_t row, struct pk_mark **mark, size_t rest)
{
    const struct pk_layout *layout = batch->layout;
    struct pk_text text;
    batch->failed_field = layout->n_fields;
    if (!pk_resolve(batch->overflow, row + batch->overflow->offset, &text))
        return pk_fail(out, PK_BAD_ARRAY);
    if (!pk_scan_overflow(batch, row, text))
        return pk_fail(out, PK_BAD_OVERFLOW);
    for (uint32_t f = 0; f < layout->n_fields; f++) {
        struct pk_column *column = batch->columns[f];
        if (column && pk_present(column, row + column->offset)) {
            o = pk_put_key(o, &layout->fields[f]);
            size_t start = (size_t)(o - out->start);
            o = pk_put_value(out, o, column, row + column->offset, rest);
            if (PK_LIKELY(o != NULL))
                *mark = pk_note(out, *mark, start, o, column->quotes, column->mark_column, column->mark_kind);
        } else if (batch->spans[f].row == row) {
            o = pk_put_key(o, &layout->fields[f]);
            o = pk_put_span(out, o, batch->spans[f], mark, f, rest);
        }
        if (PK_UNLIKELY(!o)) {
            batch->failed_field = f;
            return NULL;
        }
    }
    return o;
}

/* Fields of a row without an overflow; the row bound is reserved. */
PK_INLINE uint8_t *pk_put_columns(
    struct pk_output *out, uint8_t *o, struct pk_batch *batch, int64_t row, struct pk_mark **mark, size_t rest)
{
    struct pk_mark *next = *mark; /* a copy, so that it lives in a register */
    for (uint32_t a = 0; a < batch->n_active; a++) {
        uint32_t f = batch->active[a];
        struct pk_column *column = batch->columns[f];
        int64_t i = row + column->offset;
        if (!pk_present(column, i))
            continue;
        o = pk_put_key(o, &batch->layout->fields[f]);
        size_t start = (size_t)(o - out->start);
        o = pk_put_value(out, o, column, i, rest);
        if (PK_UNLIKELY(!o)) {
            batch->failed_field = f;
            return NULL;
        }
        next = pk_note(out, next, start, o, column->quotes, column->mark_column, column->mark_kind);
    }
    *mark = next;
    return o;
}

/* Write rows of the batch until it ends or the output holds `enough` bytes or more; the next free byte, or NULL with
 * `out->error`, `batch->row` and `batch->failed_field` saying what and where. */
static uint8_t *pk_put_rows(struct pk_output *out, uint8_t *o, struct pk_batch *batch, size_t enough)
{
    const struct pk_layout *layout = batch->layout;
    const size_t rest = layout->row_bound; /* while a row is written, this much stays free behind the present value */
    int64_t row = batch->row;
    while (row < batch->length && (size_t)(o - out->start) < enough) {
        struct pk_mark *mark = pk_reserve_marks(out, layout->n_fields + 1);
        o = mark ? pk_reserve(out, o, rest) : NULL;
        if (PK_UNLIKELY(!o))
            break;
        size_t begin = (size_t)(o - out->start);
        if (batch->overflow && pk_present(batch->overflow, row + batch->overflow->offset))
            o = pk_put_merged(out, o, batch, row, &mark, rest);
        else
            o = pk_put_columns(out, o, batch, row, &mark, rest);
        if (PK_UNLIKELY(!o))
            break;
        /* The first key's comma becomes the brace. */
        if (PK_LIKELY((size_t)(o - out->start) > begin))
            out->start[begin] = '{';
        else
            *o++ = '{';
        *o++ = '}';
        *o++ = '\n';
        /* Marks count bytes in 32 bits. Of rows beyond that, which only a very long one can bring, none are kept. */
        if (out->keeps_marks && PK_LIKELY((size_t)(o - out->start) <= UINT32_MAX))
            out->n_marks = (size_t)(mark - out->marks);
        row++;
    }
    batch->row = row;
    return o;
}

#endif
