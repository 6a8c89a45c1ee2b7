/* Where Python enters: every call that may run out of memory comes back here and says so. */
#ifndef PENSTOCK_INTAKE_ENTRY_H
#define PENSTOCK_INTAKE_ENTRY_H

#include "export.h"

static void pk_set_locale(void) { pk_c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Makes the node of the event itself; 0 without memory. */
static int pk_try_start(struct pk_intake *k)
{
    if (!pk_c_locale || setjmp(k->out_of_memory))
        return 0;
    pk_make_node(k, 0, 0, (pk_text) "", 0);
    PK_INTAKE_ENSURE(k, k->rows, k->rows_size, 2);
    k->rows[0].leaf = 0;
    k->node_slots = pk_wider(k, &k->node_table, k->node_slots);
    k->field_slots = pk_wider(k, &k->field_table, k->field_slots);
    return 1;
}

static int64_t pk_try_scan(struct pk_intake *k, pk_text base, size_t at, size_t end, const struct pk_budget *budget)
{
    return setjmp(k->out_of_memory) ? -1 : (int64_t)pk_scan_lines(k, base, at, end, budget);
}

static int64_t pk_try_field(struct pk_intake *k, pk_text name, size_t n)
{
    return setjmp(k->out_of_memory) ? -1 : (int64_t)pk_find_field(k, name, n);
}

static int pk_try_set_time(struct pk_intake *k, size_t row, int64_t us, int is_timestamp)
{
    if (setjmp(k->out_of_memory))
        return 0;
    k->rows[row].us = us;
    if (!is_timestamp)
        pk_keep_original(k, row);
    return 1;
}

static int pk_try_fill(struct pk_intake *k, struct pk_frame *frame, const struct pk_order *order, const int32_t *slots)
{
    if (setjmp(k->out_of_memory))
        return 0;
    pk_fill(k, frame, order, slots);
    return 1;
}

#endif
