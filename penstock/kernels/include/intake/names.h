/* Names: a tree of keys, each of which guesses the key that follows, and the dotted names that its paths give.
 *
 * Hashes are seeded for every ingest, so that nobody can send names that collide. */
#ifndef PENSTOCK_INTAKE_NAMES_H
#define PENSTOCK_INTAKE_NAMES_H

#include "state.h"

#define PK_NO_FIELD UINT32_MAX

PK_INLINE uint64_t pk_mix(uint64_t a, uint64_t b)
{
    pk_u128 product = (pk_u128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

PK_INLINE uint32_t pk_hashed(const struct pk_intake *k, uint32_t salt, pk_text p, size_t n)
{
    uint64_t h = k->seed[0] ^ salt, w = 0;
    size_t left = n;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&w, p, 8);
        h = pk_mix(w ^ k->seed[1], h ^ 0x9e3779b97f4a7c15u);
    }
    w = 0;
    memcpy(&w, p, left);
    h = pk_mix(pk_mix(w ^ k->seed[1], h ^ n), k->seed[0] ^ 0x9fb21c651e98df25u);
    return (uint32_t)h;
}

/* Twice as many free slots. The caller puts everything in again. */
static size_t pk_wider(struct pk_intake *k, uint32_t **table, size_t slots)
{
    size_t wanted = slots ? slots * 2 : 1024;
    uint32_t *wider = calloc(wanted, sizeof *wider);
    if (!wider)
        longjmp(k->out_of_memory, 1);
    free(*table);
    *table = wider;
    return wanted;
}

static uint32_t pk_keep_name(struct pk_intake *k, pk_text p, size_t n)
{
    uint8_t *o = pk_room(&k->out_of_memory, &k->names, n);
    memcpy(o, p, n);
    k->names.used += n;
    return (uint32_t)(k->names.used - n);
}

/* The text `"name":` of a new field. */
static void pk_keep_member(struct pk_intake *k, struct pk_field *field, pk_text name, size_t n)
{
    /* At worst each byte becomes `\u00XX`. `names` may move here, which is why `name` must not lie in it. */
    uint8_t *start = pk_room(&k->out_of_memory, &k->names, 6 * n + 3), *o = start;
    *o++ = '"';
    for (size_t i = 0; i < n; i++)
        if (name[i] >= 0x80)
            *o++ = name[i];
        else
            o = pk_put_json_char(o, name[i]);
    *o++ = '"';
    *o++ = ':';
    field->member_at = (uint32_t)k->names.used;
    field->member_bytes = (uint32_t)(o - start);
    k->names.used += field->member_bytes;
    field->bytes = (uint32_t)n;
    field->at = field->member_bytes == n + 3 ? field->member_at + 1 : pk_keep_name(k, name, n);
}

static void pk_rehash_fields(struct pk_intake *k)
{
    k->field_slots = pk_wider(k, &k->field_table, k->field_slots);
    for (uint32_t i = 0; i < k->n_fields; i++) {
        size_t slot = pk_hashed(k, 7, k->names.start + k->fields[i].at, k->fields[i].bytes);
        while (k->field_table[slot &= k->field_slots - 1])
            slot++;
        k->field_table[slot] = i + 1;
    }
}

/* The field of a dotted name, made where it is new. `name` does not lie in `names`. */
static uint32_t pk_find_field(struct pk_intake *k, pk_text name, size_t n)
{
    if (k->n_fields * 2 >= k->field_slots)
        pk_rehash_fields(k);
    size_t slot = pk_hashed(k, 7, name, n);
    for (uint32_t found; (found = k->field_table[slot &= k->field_slots - 1]); slot++) {
        struct pk_field *field = &k->fields[found - 1];
        if (field->bytes == n && !memcmp(k->names.start + field->at, name, n))
            return found - 1;
    }
    PK_INTAKE_ENSURE(k, k->fields, k->fields_size, k->n_fields + 1);
    struct pk_field *field = &k->fields[k->n_fields];
    memset(field, 0, sizeof *field);
    pk_keep_member(k, field, name, n);
    k->field_table[slot] = (uint32_t)k->n_fields + 1;
    return (uint32_t)k->n_fields++;
}

static void pk_rehash_nodes(struct pk_intake *k)
{
    k->node_slots = pk_wider(k, &k->node_table, k->node_slots);
    for (uint32_t i = 1; i < k->n_nodes; i++) {
        size_t slot = k->nodes[i].hash;
        while (k->node_table[slot &= k->node_slots - 1])
            slot++;
        k->node_table[slot] = i;
    }
}

static uint32_t pk_make_node(struct pk_intake *k, uint32_t parent, uint32_t hash, pk_text key, size_t n)
{
    PK_INTAKE_ENSURE(k, k->nodes, k->nodes_size, k->n_nodes + 1);
    struct pk_node *node = &k->nodes[k->n_nodes];
    *node = (struct pk_node){.parent = parent, .hash = hash, .field = PK_NO_FIELD, .bytes = (uint32_t)n, .is_plain = 1};
    node->at = pk_keep_name(k, key, n);
    for (size_t i = 0; i < n; i++)
        if (key[i] < 32 || key[i] == '"' || key[i] == '\\')
            node->is_plain = 0;
    return (uint32_t)k->n_nodes++;
}

/* The node of a key below `parent`, made where it is new. */
static uint32_t pk_find_node(struct pk_intake *k, uint32_t parent, pk_text key, size_t n)
{
    if (k->n_nodes * 2 >= k->node_slots)
        pk_rehash_nodes(k);
    uint32_t hash = pk_hashed(k, parent, key, n);
    size_t slot = hash;
    for (uint32_t found; (found = k->node_table[slot &= k->node_slots - 1]); slot++) {
        struct pk_node *node = &k->nodes[found];
        if (node->hash == hash && node->parent == parent && node->bytes == n && !memcmp(k->names.start + node->at, key, n))
            return found;
    }
    uint32_t made = pk_make_node(k, parent, hash, key, n);
    k->node_table[slot] = made;
    return made;
}

/* Gives a node its field; 0 if the event has too many bytes of names (`flat_limit`). */
static int pk_name_field(struct pk_intake *k, uint32_t last)
{
    size_t total = 0;
    for (uint32_t n = last; n; n = k->nodes[n].parent)
        total += k->nodes[n].bytes + 1;
    if (k->flat_bytes + total > k->flat_limit + 1)
        return 0;
    uint8_t *end = pk_room(&k->out_of_memory, &k->scratch, total) + total, *o = end;
    for (uint32_t n = last; n; n = k->nodes[n].parent) {
        const struct pk_node *node = &k->nodes[n];
        if (n != last)
            *--o = '.';
        o -= node->bytes;
        memcpy(o, k->names.start + node->at, node->bytes);
    }
    k->nodes[last].field = pk_find_field(k, o, (size_t)(end - o));
    return 1;
}

#endif
