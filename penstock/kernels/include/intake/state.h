/* What one ingest's kernel knows: the text at hand, its values, its rows, and the names seen so far. */
#ifndef PENSTOCK_INTAKE_STATE_H
#define PENSTOCK_INTAKE_STATE_H

#include "instant.h"

#define PK_MAX_RANK 16 /* fields that may hold an event's time */

/* One value of the text, in the event's order. */
struct pk_leaf {
    uint32_t field, at, bytes;
    uint8_t kind;     /* enum pk_kind */
    uint8_t is_dirty; /* its canonical form differs from its text */
};

/* A key at one place of the tree of names. Node 0 is the event itself. */
struct pk_node {
    uint32_t parent, hash, field;
    uint32_t stamp;       /* the last object that had it */
    uint32_t next, first; /* guesses: the key that followed it last time, and the first one below it */
    uint32_t at, bytes;   /* the key, in `names` */
    uint8_t is_plain;     /* written without escapes, its text is the key */
};

/* A dotted name. Its member text `"name":` lies in `names`; so does the name, mostly inside the member text. */
struct pk_field {
    uint32_t at, bytes, member_at, member_bytes;
    uint32_t stamp; /* the last event that had it */
    uint32_t rows;  /* of this batch, that have it */
    uint8_t rank;   /* order among the fields that may hold the time, 1 first; 0: it may not */
};

struct pk_row {
    uint32_t leaf; /* its first one */
    uint32_t line;
    int64_t us; /* its time; PK_NO_TIME, PK_UNSURE */
};

/* A line that is not plainly right: the reference says why, or takes it in. */
struct pk_refused {
    uint32_t at, bytes, line;
};

struct pk_intake {
    jmp_buf out_of_memory;
    uint64_t seed[2];
    pk_text base, end; /* of the text being scanned, its padding included */
    struct pk_leaf *leaves;
    size_t n_leaves, leaves_size;
    struct pk_row *rows; /* one more behind the last, for the end of its leaves */
    size_t n_rows, rows_size;
    struct pk_refused *refused;
    size_t n_refused, refused_size;
    struct pk_node *nodes;
    size_t n_nodes, nodes_size;
    struct pk_field *fields;
    size_t n_fields, fields_size;
    uint32_t *node_table, *field_table; /* open addressing; 0: free */
    size_t node_slots, field_slots;
    struct pk_bytes names, scratch;
    uint32_t stamp;
    uint32_t lines;      /* of this batch, so far */
    int is_trusted;      /* the lines are the reference's own: only their shape is read */
    size_t flat_bytes;   /* bytes of dotted names of all leaves of this batch */
    size_t flat_limit;   /* where the event at hand has too many */
    uint32_t time_ranks; /* bit r: the event at hand has a field of rank r */
    uint32_t time_leaf[PK_MAX_RANK];
};

#define PK_INTAKE_ENSURE(k, array, size, wanted) PK_ENSURE(&(k)->out_of_memory, array, size, wanted)

#endif
