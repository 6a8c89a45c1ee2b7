/* The deflater's state: the text with its window, what was seen where, and what pays for which column. */
#ifndef PENSTOCK_DEFLATE_STATE_H
#define PENSTOCK_DEFLATE_STATE_H

#include <stdlib.h>

#include "deflate/bytes.h"
#include "deflate/codes.h"
#include "marks.h"

#define PK_WINDOW 32768
#define PK_BLOCK 262144    /* bytes of a block: large enough that its codes cost nothing, and in cache */
#define PK_HUGE_PAGE 2097152
#define PK_VALUE_BITS 12
#define PK_TEXT_BITS 15
#define PK_TEXT_BYTES 8    /* hashed in long text: what agrees in eight mostly agrees in twenty */
#define PK_SHORT_BYTES 4   /* hashed besides in text without templates, where short matches are all there is */
#define PK_PREFIX_BYTES 5  /* first bytes of a value, hashed with its column */
#define PK_LONG_TEXT 16    /* from so many bytes on a value is looked at inside */
#define PK_MARKS (PK_BLOCK / 5 + 2) /* a value and its key take 5 bytes at least; one more is cut by the block's begin */

#define PK_MATCH_MAX 258   /* longest match that deflate knows, */
#define PK_MATCH_MIN 3     /* and the shortest */
#define PK_END 256         /* symbol: end of block */
#define PK_LENGTHS 257     /* symbol of the first length */
#define PK_LITERAL_SYMBOLS 286
#define PK_DISTANCE_SYMBOLS 30
#define PK_LITERAL_BITS 14 /* longest code: four and the rest of a byte fit 64 bits */
#define PK_DISTANCE_BITS 15

/* Before the window's oldest byte lie as many zeros as the remembered positions, 16 bits wide, can point back: whatever
 * one says, what is read there is ours. */
#define PK_BEFORE 65536
#define PK_BEHIND 128 /* zeros behind the block, so that what wide loads see there is always the same */
#define PK_LINES (PK_BEFORE + PK_WINDOW + 64 + PK_BLOCK + PK_BEHIND)

enum pk_level {
    PK_FASTEST, /* text follows its template: fewer, longer matches */
    PK_FAST,
};

enum pk_text_mode {
    PK_LEAVE,   /* nothing matches: literals */
    PK_FOLLOW,  /* go on at the next delimiter where a template breaks off */
    PK_SCAN,    /* look up every position */
    PK_THOROUGH /* look up every position twice, by 8 and by 4 bytes */
};

/* What is tried for a column, and how it went in this block. */
struct pk_policy {
    uint8_t looks_up;            /* are its whole values looked up? */
    uint8_t text_mode;           /* enum pk_text_mode */
    uint8_t rest_values, rest_text; /* blocks until what did not pay is tried again */
    uint32_t lookups, hits;
    uint32_t steps, failures;    /* of following templates */
    uint32_t text, literals;     /* bytes of long text, and those among them that nothing matched */
};

struct pk_deflate {
    uint8_t lines[PK_LINES];
    uint64_t delimiters[PK_LINES / 64 + 2]; /* a bit a byte, in long text that follows templates */
    struct { /* newest position (its low 16 bits) */
        uint16_t whole[1 << PK_VALUE_BITS], prefix[1 << PK_VALUE_BITS]; /* of a value, by all or its first bytes */
        uint16_t text[1 << PK_TEXT_BITS], shorter[1 << PK_TEXT_BITS];   /* of 8 and of 4 bytes in long text */
        uint16_t pair[PK_COLUMNS][PK_COLUMNS]; /* of a value of the second column behind one of the first */
    } newest;
    struct pk_mark marks[PK_MARKS];
    size_t n_marks;
    struct pk_policy policies[PK_COLUMNS];
    size_t begin;    /* of the block at hand; before it, from PK_BEFORE on, at least the last PK_WINDOW bytes */
    size_t end;      /* of the block so far */
    uint64_t bits;   /* not yet written, */
    unsigned n_bits; /* at most 7 between calls */
    unsigned previous_column;
    uint16_t shift;  /* position of lines[0] */
    uint8_t level;   /* enum pk_level */
    uint8_t is_first; /* the segment's first block is to come */
    uint8_t has_plain; /* this block has bytes of which nothing is known */
    uint32_t literal_counts[PK_LITERAL_SYMBOLS], distance_counts[PK_DISTANCE_SYMBOLS];
    struct pk_code literals, distances;
    uint32_t literal[256], length[256], distance[PK_DISTANCE_SYMBOLS]; /* code and extra bits; from bit 24 on how many */
};

PK_INLINE uint16_t pk_place(const struct pk_deflate *d, const uint8_t *p)
{
    return (uint16_t)((size_t)(p - d->lines) + d->shift);
}

PK_INLINE int pk_is_near(unsigned distance) { return distance - 1 < PK_WINDOW; }

/* How far back `slot` was last here (a match only if that is near); from now on it is here. */
PK_INLINE unsigned pk_seen(const struct pk_deflate *d, uint16_t *slot, const uint8_t *p)
{
    uint16_t now = pk_place(d, p), before = *slot;
    *slot = now;
    return (uint16_t)(now - before);
}

/* At most how far a match at p may be widened to the left: to what is written already, to the segment's begin. */
PK_INLINE size_t pk_room_left(const struct pk_deflate *d, const uint8_t *done, const uint8_t *p, unsigned distance)
{
    size_t room = (size_t)(p - done), behind = (size_t)(p - distance - (d->lines + PK_BEFORE));
    return room < behind ? room : behind;
}


#endif
