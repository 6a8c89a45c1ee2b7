/* Marks: where the writer of lines put its values, so that the deflater need not look for them. */
#ifndef PENSTOCK_MARKS_H
#define PENSTOCK_MARKS_H

#include <stdint.h>

#define PK_COLUMNS 64 /* that are told apart; further ones share a number */

enum pk_mark_kind {
    PK_MARK_TIME,   /* resembles the row before, never an older one */
    PK_MARK_NUMBER,
    PK_MARK_TEXT,
    PK_MARK_REST,   /* what a block's end cut off a value */
    PK_MARK_PLAIN,  /* bytes of which nothing is known */
};

/* One value, without its quotes: bytes [start, end). Marks ascend and do not overlap. */
struct pk_mark {
    uint32_t start, end;
    uint16_t column; /* below PK_COLUMNS; values of one column resemble one another */
    uint16_t kind;
};

#endif
