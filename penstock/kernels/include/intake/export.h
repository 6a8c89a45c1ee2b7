/* A frame as Arrow: the C data and stream interfaces. Columns without a value are left out. */
#ifndef PENSTOCK_INTAKE_EXPORT_H
#define PENSTOCK_INTAKE_EXPORT_H

#include <errno.h>

#include "arrow.h"
#include "columns.h"

#define PK_MAX_BUFFERS (3 + PK_TEXT_BUFFERS) /* validity, views, three texts, their sizes */

/* An array and what it points to: allocated as one, freed with the last of a tree that shares `frame`. */
struct pk_array {
    struct pk_frame *frame;
    const void *buffers[PK_MAX_BUFFERS];
    struct ArrowArray *children[1];
    struct ArrowArray item;
};

/* A schema whose name and children are its own. */
struct pk_schema {
    struct ArrowSchema *children;
    struct ArrowSchema **pointers;
    char *name;
};

struct pk_stream {
    struct pk_frame *frame;
    char **names; /* of the frame's columns */
    int is_read;
};

static int pk_is_exported(const struct pk_frame *frame, size_t column)
{
    return column == 0 || frame->columns[column].n_values > 0;
}

static void pk_schema_release(struct ArrowSchema *schema)
{
    struct pk_schema *own = schema->private_data;
    for (int64_t i = 0; i < schema->n_children; i++)
        /* A consumer may have moved a child out, and then owns it; NULL says so (Arrow C data interface, "Moving an
         * array"). */
        if (schema->children[i]->release)
            schema->children[i]->release(schema->children[i]);
    free(own->children);
    free(own->pointers);
    free(own->name);
    free(own);
    schema->release = NULL;
}

/* Makes a schema with room for children; 0 without memory. */
static int pk_schema_make(struct ArrowSchema *out, const char *format, const char *name, size_t n_children)
{
    struct pk_schema *own = calloc(1, sizeof *own);
    memset(out, 0, sizeof *out);
    if (!own)
        return 0;
    own->name = strdup(name);
    own->children = calloc(n_children + 1, sizeof *own->children);
    own->pointers = calloc(n_children + 1, sizeof *own->pointers);
    *out = (struct ArrowSchema){.format = format, .name = own->name, .flags = 2 /* nullable */, .children = own->pointers,
        .release = pk_schema_release, .private_data = own};
    if (own->name && own->children && own->pointers) {
        for (size_t i = 0; i < n_children; i++)
            own->pointers[i] = &own->children[i];
        return 1;
    }
    pk_schema_release(out);
    return 0;
}

static const char *pk_format(enum pk_type type)
{
    switch (type) {
    case PK_TYPE_LONG: return "l";
    case PK_TYPE_DOUBLE: return "g";
    case PK_TYPE_BOOLEAN: return "b";
    case PK_TYPE_DATE: return "tsu:UTC";
    case PK_TYPE_STRINGS: return "+l";
    default: return "vu";
    }
}

static int pk_column_schema(struct ArrowSchema *out, enum pk_type type, const char *name)
{
    size_t n_children = type == PK_TYPE_STRINGS;
    if (!pk_schema_make(out, pk_format(type), name, n_children))
        return 0;
    if (n_children && !pk_schema_make(out->children[0], "vu", "item", 0)) {
        pk_schema_release(out);
        return 0;
    }
    out->n_children = (int64_t)n_children;
    return 1;
}

static int pk_stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    const struct pk_stream *own = stream->private_data;
    const struct pk_frame *frame = own->frame;
    if (!pk_schema_make(out, "+s", "", frame->n_columns))
        return ENOMEM;
    /* The table itself has no nulls; its columns may. */
    out->flags = 0;
    for (size_t i = 0; i < frame->n_columns; i++) {
        if (!pk_is_exported(frame, i))
            continue;
        if (!pk_column_schema(out->children[out->n_children], frame->columns[i].type, own->names[i])) {
            pk_schema_release(out);
            return ENOMEM;
        }
        out->n_children++;
    }
    return 0;
}

static void pk_array_release(struct ArrowArray *array)
{
    struct pk_array *own = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release)
            array->children[i]->release(array->children[i]);
    if (array->children != own->children) /* the struct's */
        free(array->children);
    pk_frame_drop(own->frame);
    free(own);
    array->release = NULL;
}

/* Makes an array of `length` slots, of which `n_values` hold a value; NULL without memory. */
static struct pk_array *pk_array_make(struct ArrowArray *out, struct pk_frame *frame, int64_t length, int64_t n_values)
{
    struct pk_array *own = calloc(1, sizeof *own);
    memset(out, 0, sizeof *out);
    if (!own)
        return NULL;
    own->frame = frame;
    own->children[0] = &own->item;
    __atomic_add_fetch(&frame->owners, 1, __ATOMIC_RELAXED);
    *out = (struct ArrowArray){.length = length, .null_count = length - n_values, .n_buffers = 2, .buffers = own->buffers,
        .children = own->children, .release = pk_array_release, .private_data = own};
    return own;
}

/* The buffers of views into the frame's texts. */
static void pk_view_buffers(struct ArrowArray *out, struct pk_array *own, const struct pk_view *views)
{
    static const uint8_t nothing[16];
    struct pk_frame *frame = own->frame;
    const void *texts[PK_TEXT_BUFFERS] = {frame->block->text, frame->side.start, frame->overflow.start};
    own->buffers[1] = views ? (const void *)views : nothing;
    for (int i = 0; i < PK_TEXT_BUFFERS; i++)
        /* An empty buffer gets an address too: not every reader takes NULL for anything but the validity. */
        own->buffers[2 + i] = texts[i] ? texts[i] : nothing;
    own->buffers[2 + PK_TEXT_BUFFERS] = frame->text_bytes;
    out->n_buffers = PK_MAX_BUFFERS;
}

static int pk_column_array(struct ArrowArray *out, struct pk_frame *frame, const struct pk_column *column)
{
    struct pk_array *own = pk_array_make(out, frame, frame->n_rows, column->n_values);
    if (!own)
        return 0;
    own->buffers[0] = column->n_values < frame->n_rows ? column->validity : NULL;
    own->buffers[1] = column->values;
    if (column->type == PK_TYPE_STRING || column->type == PK_TYPE_JSON)
        pk_view_buffers(out, own, column->values);
    if (column->type == PK_TYPE_STRINGS) {
        struct pk_array *items = pk_array_make(&own->item, frame, (int64_t)column->n_items, (int64_t)column->n_items);
        if (!items) {
            pk_array_release(out);
            return 0;
        }
        out->n_children = 1;
        pk_view_buffers(&own->item, items, column->items);
    }
    return 1;
}

/* The columns' array structs lie behind the pointers to them, in one piece. */
static int pk_frame_array(struct ArrowArray *out, struct pk_frame *frame)
{
    if (!pk_array_make(out, frame, frame->n_rows, frame->n_rows))
        return 0;
    struct ArrowArray **children = calloc(frame->n_columns, sizeof *children + sizeof **children);
    if (!children) {
        pk_array_release(out);
        return 0;
    }
    struct ArrowArray *arrays = (struct ArrowArray *)(children + frame->n_columns);
    out->children = children;
    out->n_buffers = 1;
    for (size_t i = 0; i < frame->n_columns; i++) {
        if (!pk_is_exported(frame, i))
            continue;
        children[out->n_children] = &arrays[out->n_children];
        if (!pk_column_array(children[out->n_children], frame, &frame->columns[i])) {
            pk_array_release(out);
            return 0;
        }
        out->n_children++;
    }
    return 1;
}

static int pk_stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct pk_stream *own = stream->private_data;
    memset(out, 0, sizeof *out); /* released: the end */
    if (own->is_read)
        return 0;
    own->is_read = 1;
    return pk_frame_array(out, own->frame) ? 0 : ENOMEM;
}

static const char *pk_stream_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "out of memory";
}

static void pk_stream_release(struct ArrowArrayStream *stream)
{
    struct pk_stream *own = stream->private_data;
    for (size_t i = 0; own->names && i < own->frame->n_columns; i++)
        free(own->names[i]);
    free(own->names);
    pk_frame_drop(own->frame);
    free(own);
    stream->release = NULL;
}

/* A stream of the one frame; 0 without memory. */
static int pk_stream_make(struct ArrowArrayStream *out, struct pk_frame *frame, const char *const *names)
{
    struct pk_stream *own = calloc(1, sizeof *own);
    memset(out, 0, sizeof *out);
    if (!own)
        return 0;
    own->frame = frame;
    __atomic_add_fetch(&frame->owners, 1, __ATOMIC_RELAXED);
    own->names = calloc(frame->n_columns, sizeof *own->names);
    *out = (struct ArrowArrayStream){pk_stream_schema, pk_stream_next, pk_stream_error, pk_stream_release, own};
    int is_whole = own->names != NULL;
    for (size_t i = 0; is_whole && i < frame->n_columns; i++)
        is_whole = (own->names[i] = strdup(names[i])) != NULL;
    if (!is_whole)
        pk_stream_release(out);
    return is_whole;
}

#endif
