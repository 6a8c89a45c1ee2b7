/* Columns: an Arrow schema's types understood once, its arrays' buffers bound per batch, one value written as JSON. */
#ifndef PENSTOCK_LINES_COLUMN_H
#define PENSTOCK_LINES_COLUMN_H

#include "arrow.h"
#include "lines/number.h"
#include "lines/text.h"

enum pk_kind {
    PK_NULL,
    PK_VIEW,  /* string_view */
    PK_UTF8,  /* 32-bit offsets */
    PK_LARGE, /* 64-bit offsets */
    PK_DICTIONARY,
    PK_LIST,
    PK_LARGE_LIST,
    PK_BOOL,
    PK_INT8,
    PK_INT16,
    PK_INT32,
    PK_INT64,
    PK_UINT8,
    PK_UINT16,
    PK_UINT32,
    PK_UINT64,
    PK_FLOAT32,
    PK_FLOAT64,
    PK_INSTANT,
    PK_DAY,
};

/* Worst case of any value that does not reserve for itself: numbers, times, and strings that lie in a view. */
#define PK_INLINE_VIEW 12
#define PK_VALUE_BOUND PK_ESCAPED_BOUND(PK_INLINE_VIEW)

struct pk_column {
    enum pk_kind kind;
    enum pk_kind index_kind; /* of PK_DICTIONARY */
    int raw;                 /* strings hold JSON text */
    unsigned quotes;         /* around a value: 1; a list's bracket and its first item's quote: 2 */
    uint16_t mark_column;    /* of its values' marks; */
    uint16_t mark_kind;      /* enum pk_mark_kind */
    int64_t per_second;      /* of PK_INSTANT */
    struct pk_column *child; /* items of a list, values of a dictionary */
    struct pk_clock clock;
    /* Bound to one array: */
    const uint8_t *validity; /* NULL: no nulls */
    int64_t offset;          /* added to a row number */
    int64_t length;          /* values there are, counted from `offset` */
    const uint8_t *values;   /* numbers, views, or offsets */
    const uint8_t *text;     /* of PK_UTF8, PK_LARGE */
    const uint8_t *text_end;
    const uint8_t *const *blocks; /* of PK_VIEW: where long strings lie */
    const int64_t *block_bytes;
    int64_t n_blocks;
    int all_null;
};

PK_INLINE int pk_bit(const uint8_t *bits, int64_t i) { return bits[i >> 3] >> (i & 7) & 1; }

#define PK_READ(name, type)                                                 \
    PK_INLINE type pk_read_##name(const uint8_t *values, int64_t i)         \
    {                                                                       \
        type v;                                                             \
        memcpy(&v, values + i * (int64_t)sizeof v, sizeof v);               \
        return v;                                                           \
    }
PK_READ(i8, int8_t)
PK_READ(i16, int16_t)
PK_READ(i32, int32_t)
PK_READ(i64, int64_t)
PK_READ(u8, uint8_t)
PK_READ(u16, uint16_t)
PK_READ(u32, uint32_t)
PK_READ(u64, uint64_t)
PK_READ(f32, float)
PK_READ(f64, double)
#undef PK_READ

static void pk_column_close(struct pk_column *column)
{
    if (!column)
        return;
    pk_column_close(column->child);
    free(column);
}

static int pk_kind_of(const char *format, struct pk_column *column)
{
    static const struct {
        const char *format;
        enum pk_kind kind;
    } plain[] = {{"n", PK_NULL}, {"vu", PK_VIEW}, {"u", PK_UTF8}, {"U", PK_LARGE}, {"+l", PK_LIST}, {"+L", PK_LARGE_LIST},
        {"b", PK_BOOL}, {"c", PK_INT8}, {"s", PK_INT16}, {"i", PK_INT32}, {"l", PK_INT64}, {"C", PK_UINT8},
        {"S", PK_UINT16}, {"I", PK_UINT32}, {"L", PK_UINT64}, {"f", PK_FLOAT32}, {"g", PK_FLOAT64}, {"tdD", PK_DAY}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (!strcmp(format, plain[i].format)) {
            column->kind = plain[i].kind;
            return 1;
        }
    if (!strncmp(format, "ts", 2) && format[2] && format[3] == ':') {
        static const char units[] = "smun";
        static const int64_t per_second[] = {1, 1000, 1000000, 1000000000};
        const char *unit = strchr(units, format[2]);
        column->kind = PK_INSTANT;
        column->per_second = unit ? per_second[unit - units] : 0;
        return unit != NULL;
    }
    return 0;
}

PK_INLINE int pk_is_string(const struct pk_column *column)
{
    if (column->kind == PK_DICTIONARY)
        column = column->child;
    return column->kind == PK_VIEW || column->kind == PK_UTF8 || column->kind == PK_LARGE;
}

/* How the column's values are marked for the deflater. */
static void pk_set_marks(struct pk_column *column)
{
    int is_list = column->kind == PK_LIST || column->kind == PK_LARGE_LIST, is_time = column->kind == PK_INSTANT || column->kind == PK_DAY;
    int is_string = pk_is_string(column) && !column->raw;
    column->quotes = is_list ? 2 : is_string || is_time;
    column->mark_kind = is_time ? PK_MARK_TIME : is_list || pk_is_string(column) ? PK_MARK_TEXT : PK_MARK_NUMBER;
}

/* A column of a schema's type; NULL without memory, or with `*unknown` set to the format that has no JSON form here. */
static struct pk_column *pk_column_open(const struct ArrowSchema *schema, int raw, int depth, const char **unknown)
{
    struct pk_column *column = calloc(1, sizeof *column);
    if (!column)
        return NULL;
    column->raw = raw;
    const struct ArrowSchema *inner = NULL;
    /* Lists of lists are opened by recursion; a schema may nest them as deep as it likes. */
    int known = depth < 16 && pk_kind_of(schema->format, column);
    if (known && schema->dictionary) {
        column->index_kind = column->kind;
        known = column->kind >= PK_INT8 && column->kind <= PK_UINT64 && !schema->dictionary->dictionary;
        column->kind = PK_DICTIONARY;
        inner = schema->dictionary;
    } else if (known && (column->kind == PK_LIST || column->kind == PK_LARGE_LIST)) {
        known = schema->n_children == 1 && !raw;
        inner = known ? schema->children[0] : NULL;
    }
    if (known && inner) {
        column->child = pk_column_open(inner, raw, depth + 1, unknown);
        if (!column->child) {
            free(column);
            return NULL;
        }
    }
    if (known && raw && column->kind != PK_NULL && !pk_is_string(column))
        known = 0;
    if (known) {
        pk_set_marks(column);
        return column;
    }
    *unknown = schema->format;
    pk_column_close(column);
    return NULL;
}

/* Buffers an array of this kind must have, validity included (a view's more are its blocks and their lengths). */
static int64_t pk_buffers_of(enum pk_kind kind)
{
    switch (kind) {
    case PK_NULL:
        return 0;
    case PK_VIEW:
    case PK_UTF8:
    case PK_LARGE:
        return 3;
    default:
        return 2;
    }
}

/* Where the offsets buffer says that value `i` begins. */
PK_INLINE int64_t pk_start_of(const struct pk_column *column, int large, int64_t i)
{
    return large ? pk_read_i64(column->values, i) : (int64_t)pk_read_i32(column->values, i);
}

/* Point a column at an array's buffers; 0 if the array cannot be of the column's type. */
static int pk_column_bind(struct pk_column *column, const struct ArrowArray *array)
{
    if (array->n_buffers < pk_buffers_of(column->kind) || array->length < 0 || array->offset < 0)
        return 0;
    column->all_null = column->kind == PK_NULL || (array->length > 0 && array->null_count == array->length);
    column->offset = array->offset;
    column->length = array->length;
    if (column->kind == PK_NULL)
        return 1;
    /* -1 means "not computed" in Arrow: then the bits are asked. */
    column->validity = array->null_count == 0 ? NULL : array->buffers[0];
    column->values = array->buffers[1];
    if (!column->values && array->length > 0)
        return 0;
    int64_t last = array->offset + array->length;
    switch (column->kind) {
    case PK_VIEW:
        column->n_blocks = array->n_buffers - 3;
        column->blocks = (const uint8_t *const *)array->buffers + 2;
        column->block_bytes = array->buffers[array->n_buffers - 1];
        return column->n_blocks == 0 || column->block_bytes;
    case PK_UTF8:
    case PK_LARGE:
        column->text = array->buffers[2];
        column->text_end = column->text;
        if (column->text && column->values)
            /* Arrow hands buffers over without their sizes; the last offset says how much of the text there must be. */
            column->text_end += pk_start_of(column, column->kind == PK_LARGE, last);
        return 1;
    case PK_LIST:
    case PK_LARGE_LIST:
        return array->n_children == 1 && pk_column_bind(column->child, array->children[0]);
    case PK_DICTIONARY:
        return array->dictionary && pk_column_bind(column->child, array->dictionary);
    default:
        return 1;
    }
}

/* Position in the dictionary of value i (offset added); negative or too large if the array is broken. */
static int64_t pk_index_of(const struct pk_column *column, int64_t i)
{
    switch (column->index_kind) {
    case PK_INT8:
        return pk_read_i8(column->values, i);
    case PK_INT16:
        return pk_read_i16(column->values, i);
    case PK_INT32:
        return pk_read_i32(column->values, i);
    case PK_UINT8:
        return pk_read_u8(column->values, i);
    case PK_UINT16:
        return pk_read_u16(column->values, i);
    case PK_UINT32:
        return pk_read_u32(column->values, i);
    default: /* a uint64 past int64's end turns negative: refused */
        return pk_read_i64(column->values, i);
    }
}

/* Whether value i (offset added) is there. A dictionary's value may itself be null. */
PK_INLINE int pk_present(const struct pk_column *column, int64_t i)
{
    if (column->validity && !pk_bit(column->validity, i))
        return 0;
    if (PK_UNLIKELY(column->kind == PK_DICTIONARY) && column->child->validity) {
        int64_t index = pk_index_of(column, i);
        if (index >= 0 && index < column->child->length)
            return pk_bit(column->child->validity, index + column->child->offset);
    }
    return column->kind != PK_NULL;
}

/* The text of string value i (offset added); 0 if it would lie outside its buffer. */
PK_INLINE int pk_text_of(const struct pk_column *column, int64_t i, struct pk_text *text)
{
    if (column->kind == PK_VIEW) {
        const uint8_t *view = column->values + 16 * i;
        int64_t n = pk_read_i32(view, 0), block, offset;
        text->bytes = (size_t)n;
        if (n <= PK_INLINE_VIEW) {
            text->at = view + 4;
            /* The view itself may be read to its end: a wide load of a short string stays inside it. */
            text->limit = view + 16;
            return n >= 0;
        }
        block = pk_read_i32(view, 2);
        offset = pk_read_i32(view, 3);
        if (PK_UNLIKELY(block < 0 || block >= column->n_blocks || offset < 0 || offset + n > column->block_bytes[block]))
            return 0;
        text->at = column->blocks[block] + offset;
        text->limit = column->blocks[block] + column->block_bytes[block];
        return 1;
    }
    int large = column->kind == PK_LARGE;
    int64_t start = pk_start_of(column, large, i), end = pk_start_of(column, large, i + 1);
    if (PK_UNLIKELY(start < 0 || end < start || end > column->text_end - column->text))
        return 0;
    text->at = column->text + start;
    text->bytes = (size_t)(end - start);
    text->limit = column->text_end;
    return 1;
}

/* As pk_text_of, through a dictionary where there is one. */
static int pk_resolve(const struct pk_column *column, int64_t i, struct pk_text *text)
{
    if (column->kind == PK_DICTIONARY) {
        int64_t index = pk_index_of(column, i);
        column = column->child;
        if (index < 0 || index >= column->length)
            return 0;
        i = index + column->offset;
    }
    return pk_text_of(column, i, text);
}

static uint8_t *pk_put_other(struct pk_output *out, uint8_t *o, struct pk_column *column, int64_t i, size_t rest);

/* Value i (offset added) of a column. Reserved by the caller: PK_VALUE_BOUND + rest. Leaves `rest` reserved behind it. */
PK_INLINE uint8_t *pk_put_value(struct pk_output *out, uint8_t *o, struct pk_column *column, int64_t i, size_t rest)
{
    struct pk_text text;
    switch (column->kind) {
    case PK_VIEW:
        if (PK_UNLIKELY(column->raw))
            break;
#ifndef PK_SCALAR
        {
            const uint8_t *view = column->values + 16 * i;
            uint32_t n;
            memcpy(&n, view, 4);
            if (n <= PK_INLINE_VIEW) { /* the whole string lies in the view: one load, one store */
                pk_wide v = pk_drop4(pk_load(view));
                pk_store(o + 1, v);
                *o = '"';
                if (PK_LIKELY(!pk_first(pk_unclean(v), n))) {
                    o[1 + n] = '"';
                    return o + 2 + n;
                }
                o = pk_escape_bytes(o + 1, view + 4, view + 4 + n);
                *o++ = '"';
                return o;
            }
        }
#endif
        if (PK_UNLIKELY(!pk_text_of(column, i, &text)))
            return pk_fail(out, PK_BAD_ARRAY);
        return pk_put_string(out, o, text, rest);
    case PK_INSTANT:
        o = pk_put_instant(o, pk_read_i64(column->values, i), column->per_second, &column->clock);
        return PK_LIKELY(o != NULL) ? o : pk_fail(out, PK_BAD_TIME);
    case PK_INT64:
        return pk_put_signed(o, pk_read_i64(column->values, i));
    default:
        break;
    }
    return pk_put_other(out, o, column, i, rest);
}

static uint8_t *pk_put_list(struct pk_output *out, uint8_t *o, struct pk_column *column, int64_t i, size_t rest)
{
    struct pk_column *items = column->child;
    int large = column->kind == PK_LARGE_LIST;
    int64_t start = pk_start_of(column, large, i), end = pk_start_of(column, large, i + 1);
    if (start < 0 || end < start || end > items->length)
        return pk_fail(out, PK_BAD_ARRAY);
    *o++ = '[';
    for (int64_t item = start + items->offset; item < end + items->offset; item++) {
        o = pk_reserve(out, o, PK_VALUE_BOUND + 8 + rest); /* 8: comma, bracket, null */
        if (!o)
            return NULL;
        if (pk_present(items, item)) {
            o = pk_put_value(out, o, items, item, rest + 2);
            if (!o)
                return NULL;
        } else {
            memcpy(o, "null", 4);
            o += 4;
        }
        *o++ = ',';
    }
    if (o[-1] == ',')
        o--;
    *o++ = ']';
    return o;
}

/* The kinds that are rarer in exports, out of the row loop's way. */
static __attribute__((noinline)) uint8_t *pk_put_other(
    struct pk_output *out, uint8_t *o, struct pk_column *column, int64_t i, size_t rest)
{
    struct pk_text text;
    switch (column->kind) {
    case PK_VIEW:
    case PK_UTF8:
    case PK_LARGE:
        if (PK_UNLIKELY(!pk_text_of(column, i, &text)))
            return pk_fail(out, PK_BAD_ARRAY);
        return column->raw ? pk_put_raw(out, o, text, rest) : pk_put_string(out, o, text, rest);
    case PK_DICTIONARY: {
        int64_t index = pk_index_of(column, i);
        if (index < 0 || index >= column->child->length)
            return pk_fail(out, PK_BAD_ARRAY);
        return pk_put_other(out, o, column->child, index + column->child->offset, rest);
    }
    case PK_LIST:
    case PK_LARGE_LIST:
        return pk_put_list(out, o, column, i, rest);
    case PK_BOOL:
        return pk_put_bool(o, pk_bit(column->values, i));
    case PK_INT8:
        return pk_put_signed(o, pk_read_i8(column->values, i));
    case PK_INT16:
        return pk_put_signed(o, pk_read_i16(column->values, i));
    case PK_INT32:
        return pk_put_signed(o, pk_read_i32(column->values, i));
    case PK_INT64:
        return pk_put_signed(o, pk_read_i64(column->values, i));
    case PK_UINT8:
        return pk_put_unsigned(o, pk_read_u8(column->values, i));
    case PK_UINT16:
        return pk_put_unsigned(o, pk_read_u16(column->values, i));
    case PK_UINT32:
        return pk_put_unsigned(o, pk_read_u32(column->values, i));
    case PK_UINT64:
        return pk_put_unsigned(o, pk_read_u64(column->values, i));
    case PK_FLOAT32:
        return pk_put_double(o, (double)pk_read_f32(column->values, i));
    case PK_FLOAT64:
        return pk_put_double(o, pk_read_f64(column->values, i));
    case PK_INSTANT:
        o = pk_put_instant(o, pk_read_i64(column->values, i), column->per_second, &column->clock);
        return o ? o : pk_fail(out, PK_BAD_TIME);
    case PK_DAY:
        if (!pk_put_day(o, pk_read_i32(column->values, i)))
            return pk_fail(out, PK_BAD_TIME);
        o[11] = '"';
        return o + 12;
    case PK_NULL:
        break;
    }
    memcpy(o, "null", 4);
    return o + 4;
}

#endif
