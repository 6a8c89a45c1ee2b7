/* Rows to columns: string columns are views into the text, so that only what had escapes is copied; what has no column,
 * or does not fit it, goes to the row's overflow as canonical JSON.
 *
 * Whatever Arrow arrays point to belongs to a frame or to a block of text; both live until their last owner lets go, in
 * whatever thread, without Python. */
#ifndef PENSTOCK_INTAKE_COLUMNS_H
#define PENSTOCK_INTAKE_COLUMNS_H

#include "votes.h"

enum pk_type { PK_TYPE_STRING, PK_TYPE_LONG, PK_TYPE_DOUBLE, PK_TYPE_BOOLEAN, PK_TYPE_DATE, PK_TYPE_STRINGS, PK_TYPE_JSON };

/* Lines of text, with PK_PADDING newlines behind them. */
struct pk_block {
    int owners;
    uint8_t *text;
    size_t used, size;
};

/* A string in Arrow's view form: up to 12 bytes stand in it, longer ones are pointed to. */
struct pk_view {
    int32_t bytes;
    uint8_t prefix[4];
    int32_t buffer, offset;
};

enum pk_buffer { PK_IN_BLOCK, PK_IN_SIDE, PK_IN_OVERFLOW, PK_TEXT_BUFFERS };

struct pk_column {
    uint32_t field;
    enum pk_type type;
    uint8_t *validity;
    void *values; /* views, int64, double, bits; of lists, int32 offsets */
    struct pk_view *items;
    size_t n_items, items_size;
    int64_t n_values;
    int64_t next_row; /* of lists: the first whose offset is not set */
};

struct pk_frame {
    int owners;
    struct pk_block *block;
    int64_t n_rows;
    size_t n_columns; /* @timestamp first, the overflow last */
    struct pk_column *columns;
    uint8_t *arena;       /* memory of all columns but their items */
    struct pk_bytes side; /* unescaped strings */
    struct pk_bytes overflow;
    int64_t text_bytes[PK_TEXT_BUFFERS]; /* sizes of the text buffers, as Arrow wants them */
};

static void pk_block_drop(struct pk_block *block)
{
    /* ACQ_REL: whoever frees must see all that other threads did with the memory before they let go. */
    if (block && __atomic_sub_fetch(&block->owners, 1, __ATOMIC_ACQ_REL) == 0) {
        free(block->text);
        free(block);
    }
}

static void pk_frame_drop(struct pk_frame *frame)
{
    if (!frame || __atomic_sub_fetch(&frame->owners, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    for (size_t i = 0; i < frame->n_columns; i++)
        free(frame->columns[i].items);
    pk_block_drop(frame->block);
    free(frame->columns);
    free(frame->arena);
    free(frame->side.start);
    free(frame->overflow.start);
    free(frame);
}

static size_t pk_values_bytes(enum pk_type type, size_t rows)
{
    switch (type) {
    case PK_TYPE_STRING: case PK_TYPE_JSON:
        return rows * sizeof(struct pk_view);
    case PK_TYPE_BOOLEAN:
        return (rows + 7) / 8;
    case PK_TYPE_STRINGS:
        return (rows + 1) * sizeof(int32_t);
    default:
        return rows * 8;
    }
}

/* A frame of zeros: @timestamp, the given columns, the overflow. NULL without memory. */
static struct pk_frame *pk_frame_new(struct pk_block *block, int64_t rows, const uint32_t *fields, const uint8_t *types, size_t n)
{
    struct pk_frame *frame = calloc(1, sizeof *frame);
    if (!frame)
        return NULL;
    frame->owners = 1;
    frame->n_rows = rows;
    frame->n_columns = n + 2;
    frame->columns = calloc(n + 2, sizeof *frame->columns);
    /* Each buffer begins at and fills whole 64 bytes, as Arrow recommends for wide loads. */
    size_t total = 0, bits = ((size_t)rows + 511) / 512 * 64;
    for (size_t i = 0; frame->columns && i < n + 2; i++) {
        struct pk_column *column = &frame->columns[i];
        int is_own = i == 0 || i == n + 1;
        column->field = is_own ? PK_TIMESTAMP : fields[i - 1];
        column->type = i == 0 ? PK_TYPE_DATE : is_own ? PK_TYPE_STRING : (enum pk_type)types[i - 1];
        total += bits + (pk_values_bytes(column->type, (size_t)rows) + 63) / 64 * 64;
    }
    frame->arena = frame->columns ? calloc(total + 64, 1) : NULL;
    if (!frame->arena) {
        frame->n_columns = frame->columns ? n + 2 : 0;
        pk_frame_drop(frame);
        return NULL;
    }
    uint8_t *at = frame->arena;
    for (size_t i = 0; i < n + 2; i++) {
        struct pk_column *column = &frame->columns[i];
        column->validity = at;
        column->values = at + bits;
        at += bits + (pk_values_bytes(column->type, (size_t)rows) + 63) / 64 * 64;
    }
    /* RELAXED: the caller owns it already, so that it cannot be freed meanwhile. */
    __atomic_add_fetch(&block->owners, 1, __ATOMIC_RELAXED);
    frame->block = block;
    return frame;
}

PK_INLINE struct pk_view pk_viewed(pk_text p, size_t n, enum pk_buffer buffer, size_t offset)
{
    struct pk_view view = {(int32_t)n, {0}, 0, 0};
    if (n <= 12)
        memcpy((uint8_t *)&view + 4, p, n);
    else {
        memcpy(view.prefix, p, 4);
        view.buffer = (int32_t)buffer;
        view.offset = (int32_t)offset;
    }
    return view;
}

/* The characters of a checked string of n bytes without half a pair. */
PK_INLINE struct pk_view pk_string_view(struct pk_intake *k, struct pk_frame *frame, pk_text p, size_t n, int is_escaped)
{
    if (PK_LIKELY(!is_escaped))
        return pk_viewed(p, n, PK_IN_BLOCK, (size_t)(p - k->base));
    uint8_t *o = pk_room(&k->out_of_memory, &frame->side, n);
    size_t length = (size_t)(pk_unescape(o, p, p + n) - o), at = frame->side.used;
    frame->side.used += length;
    return pk_viewed(o, length, PK_IN_SIDE, at);
}

static struct pk_view pk_json_view(struct pk_intake *k, struct pk_frame *frame, const struct pk_leaf *leaf)
{
    pk_text p = k->base + leaf->at;
    if (!leaf->is_dirty)
        return pk_viewed(p, leaf->bytes, PK_IN_BLOCK, leaf->at);
    uint8_t *o = pk_room(&k->out_of_memory, &frame->side, leaf->bytes);
    size_t length = (size_t)(pk_put_canonical(o, p, p + leaf->bytes) - o), at = frame->side.used;
    frame->side.used += length;
    return pk_viewed(o, length, PK_IN_SIDE, at);
}

static void pk_put_strings(struct pk_intake *k, struct pk_frame *frame, struct pk_column *column, const struct pk_leaf *leaf, int64_t row)
{
    int32_t *offsets = column->values;
    pk_text p = k->base + leaf->at + 1, end = p + leaf->bytes - 2;
    /* Rows without a list, which nobody visits, need an offset too. */
    for (; column->next_row <= row; column->next_row++)
        offsets[column->next_row] = (int32_t)column->n_items;
    while (p < end) {
        if (*p != '"') {
            p++;
            continue;
        }
        enum pk_kind kind;
        pk_text close = pk_scan_string(++p, &kind);
        PK_ENSURE(&k->out_of_memory, column->items, column->items_size, column->n_items + 1);
        column->items[column->n_items++] = pk_string_view(k, frame, p, (size_t)(close - p), kind != PK_STRING);
        p = close + 1;
    }
}

/* Puts a value into its column; 0 if the column cannot hold it exactly. */
PK_INLINE int pk_put_value(struct pk_intake *k, struct pk_frame *frame, struct pk_column *column, const struct pk_leaf *leaf, int64_t row)
{
    pk_text p = k->base + leaf->at;
    enum pk_kind kind = leaf->kind;
    switch (column->type) {
    case PK_TYPE_STRING:
        if (kind != PK_STRING && kind != PK_ESCAPED)
            return 0;
        ((struct pk_view *)column->values)[row] = pk_string_view(k, frame, p + 1, leaf->bytes - 2, kind == PK_ESCAPED);
        break;
    case PK_TYPE_LONG:
        if (kind != PK_LONG)
            return 0;
        ((int64_t *)column->values)[row] = pk_to_long(p, leaf->bytes);
        break;
    case PK_TYPE_DOUBLE:
        if (kind != PK_DOUBLE)
            return 0;
        ((double *)column->values)[row] = pk_to_double(p, leaf->bytes);
        break;
    case PK_TYPE_BOOLEAN:
        if (kind != PK_TRUE && kind != PK_FALSE)
            return 0;
        ((uint8_t *)column->values)[row >> 3] |= (uint8_t)((kind == PK_TRUE) << (row & 7));
        break;
    case PK_TYPE_DATE: {
        int64_t us = pk_date_of(k, leaf);
        if (us == PK_NO_TIME)
            return 0;
        ((int64_t *)column->values)[row] = us;
        break;
    }
    case PK_TYPE_STRINGS:
        if (kind != PK_STRINGS)
            return 0;
        pk_put_strings(k, frame, column, leaf, row);
        break;
    case PK_TYPE_JSON:
        ((struct pk_view *)column->values)[row] = pk_json_view(k, frame, leaf);
        break;
    }
    column->validity[row >> 3] |= (uint8_t)(1 << (row & 7));
    column->n_values++;
    return 1;
}

/* Writes a member into the overflow, whose object for this row begins at `began`. */
static void pk_overflow(struct pk_intake *k, struct pk_frame *frame, const struct pk_leaf *leaf, size_t began)
{
    const struct pk_field *field = &k->fields[leaf->field];
    pk_text p = k->base + leaf->at;
    uint8_t *start = pk_room(&k->out_of_memory, &frame->overflow, field->member_bytes + leaf->bytes + 2), *o = start;
    *o++ = frame->overflow.used == began ? '{' : ',';
    memcpy(o, k->names.start + field->member_at, field->member_bytes);
    o += field->member_bytes;
    if (leaf->is_dirty)
        o = pk_put_canonical(o, p, p + leaf->bytes);
    else {
        memcpy(o, p, leaf->bytes);
        o += leaf->bytes;
    }
    frame->overflow.used += (size_t)(o - start);
}

/* Fills an empty frame with rows in the order given. `slots` gives each field's column, 0 for none. */
static void pk_fill(struct pk_intake *k, struct pk_frame *frame, const struct pk_order *order, const int32_t *slots)
{
    struct pk_column *stamps = &frame->columns[0], *overflows = &frame->columns[frame->n_columns - 1];
    for (int64_t row = 0; row < frame->n_rows; row++) {
        const struct pk_row *from = &k->rows[order[row].row];
        size_t began = frame->overflow.used;
        ((int64_t *)stamps->values)[row] = from->us;
        for (uint32_t i = from[0].leaf; i < from[1].leaf; i++) {
            const struct pk_leaf *leaf = &k->leaves[i];
            if (leaf->field == PK_TIMESTAMP)
                continue;
            int32_t slot = slots[leaf->field];
            if (!PK_LIKELY(slot) || !pk_put_value(k, frame, &frame->columns[slot], leaf, row))
                pk_overflow(k, frame, leaf, began);
        }
        if (frame->overflow.used == began)
            continue;
        *pk_room(&k->out_of_memory, &frame->overflow, 1) = '}';
        frame->overflow.used++;
        ((struct pk_view *)overflows->values)[row] =
            pk_viewed(frame->overflow.start + began, frame->overflow.used - began, PK_IN_OVERFLOW, began);
        overflows->validity[row >> 3] |= (uint8_t)(1 << (row & 7));
        overflows->n_values++;
    }
    stamps->n_values = frame->n_rows;
    for (size_t i = 0; i < frame->n_columns; i++) {
        struct pk_column *column = &frame->columns[i];
        for (; column->type == PK_TYPE_STRINGS && column->next_row <= frame->n_rows; column->next_row++)
            ((int32_t *)column->values)[column->next_row] = (int32_t)column->n_items;
    }
    frame->text_bytes[PK_IN_BLOCK] = (int64_t)frame->block->used;
    frame->text_bytes[PK_IN_SIDE] = (int64_t)frame->side.used;
    frame->text_bytes[PK_IN_OVERFLOW] = (int64_t)frame->overflow.used;
    if (frame->side.used > INT32_MAX || frame->overflow.used > INT32_MAX)
        longjmp(k->out_of_memory, 1); /* no view could point there; the scan's budgets keep far below */
}

#endif
