/* Lines to rows: where each begins and ends, whether it is an event, and which of its values is its time. */
#ifndef PENSTOCK_INTAKE_LINES_H
#define PENSTOCK_INTAKE_LINES_H

#include "scan.h"

#define PK_TIMESTAMP 0 /* the field @timestamp */
#define PK_LEAST_US 100000000000000 /* 1973: an earlier number is no time, but in @timestamp */

static const char pk_timestamp_name[] = "@timestamp", pk_original[] = ".original";

/* How much one batch may hold: the scan stops behind the line that brings it there. */
struct pk_budget {
    size_t line_bytes; /* a longer line is refused */
    size_t flat_bytes; /* of dotted names, which the overflow repeats */
    size_t new_names;  /* bytes of names that are kept */
    size_t refused;    /* lines, each of which the reference looks at */
};

/* The instant of a number in a field other than @timestamp: a small one is likelier something else. */
static int64_t pk_likely_instant(pk_text p, size_t n)
{
    int64_t us = pk_number_instant(p, n);
    return us > PK_UNSURE && us < PK_LEAST_US ? PK_NO_TIME : us;
}

/* The instant of a text like `1700000000.123`, as journald and others write their times. */
static int64_t pk_digits_instant(pk_text p, size_t n)
{
    size_t digits = 0;
    while (digits < n && pk_is_digit(p[digits]))
        digits++;
    int is_likely = digits == 10 || digits == 13 || digits == 16 || digits == 19; /* 14: 20240102030405 */
    return is_likely ? pk_likely_instant(p, n) : PK_NO_TIME;
}

/* The instant that a value is; PK_NO_TIME, or PK_UNSURE where Python must look. */
static int64_t pk_leaf_instant(const struct pk_intake *k, const struct pk_leaf *leaf)
{
    pk_text p = k->base + leaf->at;
    int is_timestamp = leaf->field == PK_TIMESTAMP;
    switch (leaf->kind) {
    case PK_STRING: {
        int64_t us = pk_any_instant(p + 1, leaf->bytes - 2);
        return us != PK_NO_TIME || is_timestamp ? us : pk_digits_instant(p + 1, leaf->bytes - 2);
    }
    case PK_LONG: case PK_DOUBLE: case PK_NUMBER:
        return (is_timestamp ? pk_number_instant : pk_likely_instant)(p, leaf->bytes);
    case PK_ESCAPED: case PK_LONE:
        return PK_UNSURE;
    default:
        return PK_NO_TIME;
    }
}

/* Gives the @timestamp of a row that has another time, or none, a name of its own: with `.original` behind it, as often
 * as it takes to be new in the event. */
static void pk_keep_original(struct pk_intake *k, size_t r)
{
    uint32_t first = k->rows[r].leaf, end = k->rows[r + 1].leaf, at = first;
    while (at < end && k->leaves[at].field != PK_TIMESTAMP)
        at++;
    if (at == end)
        return;
    size_t n = sizeof pk_timestamp_name - 1, step = sizeof pk_original - 1;
    uint8_t *name = pk_room(&k->out_of_memory, &k->scratch, n + step * (end - first + 1)); /* one of so many is new */
    memcpy(name, pk_timestamp_name, n);
    uint32_t field, other;
    do {
        memcpy(name + n, pk_original, step);
        n += step;
        field = pk_find_field(k, name, n);
        for (other = first; other < end && k->leaves[other].field != field; other++) {}
    } while (other < end);
    k->leaves[at].field = field;
    k->fields[PK_TIMESTAMP].rows--;
    k->fields[field].rows++;
}

/* The first of the row's fields of time, by rank, that is a usable time. */
static void pk_settle_time(struct pk_intake *k, size_t r)
{
    struct pk_row *row = &k->rows[r];
    row->us = PK_NO_TIME;
    const struct pk_leaf *chosen = NULL;
    for (uint32_t ranks = k->time_ranks; ranks && row->us == PK_NO_TIME; ranks &= ranks - 1) {
        chosen = &k->leaves[k->time_leaf[__builtin_ctz(ranks)]];
        row->us = pk_leaf_instant(k, chosen);
    }
    int has_timestamp = k->fields[PK_TIMESTAMP].stamp == k->stamp;
    if (has_timestamp && row->us != PK_UNSURE && (row->us == PK_NO_TIME || chosen->field != PK_TIMESTAMP))
        pk_keep_original(k, r);
}

/* Forgets the rows from `rows` on, of a line that turned out to be wrong. */
static void pk_forget_rows(struct pk_intake *k, size_t rows, size_t flat_bytes)
{
    size_t first = k->rows[rows].leaf;
    for (size_t i = first; i < k->n_leaves; i++)
        k->fields[k->leaves[i].field].rows--;
    k->n_leaves = first;
    k->n_rows = rows;
    k->flat_bytes = flat_bytes;
}

/* One object of a line, as a row. Returns what follows it, NULL if it is none. */
static pk_text pk_scan_event(struct pk_intake *k, pk_text p)
{
    size_t r = k->n_rows;
    k->stamp++;
    k->time_ranks = 0;
    p = pk_skip(p + 1);
    if (!(p = *p == '}' ? p + 1 : pk_scan_object(k, p, 0, 1)))
        return NULL;
    PK_INTAKE_ENSURE(k, k->rows, k->rows_size, r + 2);
    k->rows[r].line = k->lines;
    k->rows[r + 1].leaf = (uint32_t)k->n_leaves;
    k->n_rows = r + 1;
    pk_settle_time(k, r);
    return p;
}

/* The events of one line, mostly one; several may stand there with nothing or spaces between them. 0: it is refused. */
static int pk_scan_line(struct pk_intake *k, pk_text p, pk_text stop)
{
    size_t rows = k->n_rows, flat_bytes = k->flat_bytes;
    size_t limit = PK_FLAT_FREE + PK_FLAT_RATIO * (size_t)(stop - p);
    k->flat_limit = k->is_trusted ? SIZE_MAX / 2 : flat_bytes + limit;
    do {
        if (*p != '{' || !(p = pk_scan_event(k, p))) {
            pk_forget_rows(k, rows, flat_bytes);
            return 0;
        }
        p = pk_skip(p);
    } while (p < stop);
    return 1;
}

static void pk_refuse(struct pk_intake *k, pk_text p, pk_text stop)
{
    PK_INTAKE_ENSURE(k, k->refused, k->refused_size, k->n_refused + 1);
    k->refused[k->n_refused++] = (struct pk_refused){(uint32_t)(p - k->base), (uint32_t)(stop - p), k->lines};
}

/* Scans the lines of base[at, end) until a budget is used up; returns where it stopped. base[end] is a newline. */
static size_t pk_scan_lines(struct pk_intake *k, pk_text base, size_t at, size_t end, const struct pk_budget *budget)
{
    size_t names = k->names.used;
    k->base = base;
    k->end = base + end + PK_PADDING;
    PK_INTAKE_ENSURE(k, k->rows, k->rows_size, k->n_rows + 2);
    k->rows[k->n_rows].leaf = (uint32_t)k->n_leaves;
    while (at < end && k->flat_bytes <= budget->flat_bytes && k->names.used - names <= budget->new_names &&
           k->n_refused < budget->refused) {
        pk_text start = base + at, stop = memchr(start, '\n', end - at);
        if (!stop)
            stop = base + end;
        at = (size_t)(stop - base) + 1;
        if (!memcmp(start, "\xef\xbb\xbf", 3))
            start += 3; /* files joined by their bytes bring their byte order marks along */
        pk_text p = pk_skip(start);
        if (p < stop && ((size_t)(stop - start) > budget->line_bytes || !pk_scan_line(k, p, stop)))
            pk_refuse(k, start, stop);
        k->lines++;
    }
    return at < end ? at : end;
}

/* A new batch. Names stay, unless there are so many that they are better learned again. */
static void pk_reset(struct pk_intake *k, size_t max_names, size_t max_name_bytes)
{
    k->n_leaves = k->n_rows = k->n_refused = k->flat_bytes = 0;
    if (k->n_nodes + k->n_fields > max_names || k->names.used > max_name_bytes) {
        memset(k->node_table, 0, k->node_slots * sizeof *k->node_table);
        memset(k->field_table, 0, k->field_slots * sizeof *k->field_table);
        k->nodes[0].first = 0;
        k->n_nodes = 1;
        k->n_fields = k->names.used = 0;
    }
    for (size_t i = 0; i < k->n_fields; i++)
        k->fields[i].rows = 0;
    /* Before the counter wraps around: an old stamp would look like one of the event at hand. */
    if (k->stamp > UINT32_MAX / 2) {
        for (size_t i = 0; i < k->n_fields; i++)
            k->fields[i].stamp = 0;
        for (size_t i = 0; i < k->n_nodes; i++)
            k->nodes[i].stamp = 0;
        k->stamp = 0;
    }
}

/* What orders rows: time, then line, then place in the line. */
struct pk_order {
    int64_t us;
    uint32_t line, row;
};

static int pk_by_time(const void *left, const void *right)
{
    const struct pk_order *a = left, *b = right;
    if (a->us != b->us)
        return a->us < b->us ? -1 : 1;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->row < b->row ? -1 : 1;
}

/* The rows in the order of their times; of equals, the one that came first is first. */
static void pk_sort_rows(const struct pk_intake *k, struct pk_order *order)
{
    int is_sorted = 1;
    for (size_t i = 0; i < k->n_rows; i++) {
        order[i] = (struct pk_order){k->rows[i].us, k->rows[i].line, (uint32_t)i};
        /* Logs mostly come in order; then qsort, which is not stable and needs the row as last key, is not called. */
        is_sorted &= !i || pk_by_time(&order[i - 1], &order[i]) < 0;
    }
    if (!is_sorted)
        qsort(order, k->n_rows, sizeof *order, pk_by_time);
}

#endif
