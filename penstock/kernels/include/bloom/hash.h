/* Hashes of values, and the set that keeps each key once.
 *
 * The hash has no secret: a key is the same in every file, so a query hashes its words once. Whoever knows the hash can
 * make values whose keys are alike; that costs a needless look into a row group, never an event. The set's slots do
 * follow a secret, or such values could make it slow. */
#ifndef PENSTOCK_BLOOM_HASH_H
#define PENSTOCK_BLOOM_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline uint64_t bl_fold_product(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t bl_mix(uint64_t h)
{
    return bl_fold_product(h ^ 0x9E3779B97F4A7C15ull, 0xE7037ED1A0B428DBull);
}

/* Eight bytes a step, little-endian on every machine: keys travel with the files. */
static inline uint64_t bl_load(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (bytes == 8) {
        memcpy(&value, at, 8);
        return value;
    }
#endif
    for (size_t i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint64_t bl_hash(const uint8_t *at, size_t bytes)
{
    uint64_t h = 0x8EBC6AF09C88C6E3ull ^ bytes;
    for (; bytes > 8; at += 8, bytes -= 8)
        h = bl_fold_product(h ^ bl_load(at, 8), 0xA0761D6478BD642Full);
    return bl_mix(bl_fold_product(h ^ bl_load(at, bytes), 0x589965CC75374CC3ull));
}

/* Open addressing, at most half full. 0 marks a free slot, so the key 0 counts as 1. */
struct bl_set {
    uint64_t *slots;
    size_t capacity; /* a power of two */
    size_t used;
    uint64_t spread; /* odd and secret */
};

static inline size_t bl_slot(const struct bl_set *set, uint64_t key)
{
    /* Not the lowest bits of the product: they depend on the lowest bits of the key alone. */
    return (size_t)((key * set->spread) >> 20) & (set->capacity - 1);
}

static int bl_set_open(struct bl_set *set, size_t capacity, uint64_t spread)
{
    set->slots = calloc(capacity, sizeof(uint64_t));
    set->capacity = capacity;
    set->used = 0;
    set->spread = spread | 1;
    return set->slots != NULL;
}

static inline int bl_set_place(struct bl_set *set, uint64_t key)
{
    size_t slot = bl_slot(set, key);
    while (set->slots[slot]) {
        if (set->slots[slot] == key)
            return 0;
        slot = (slot + 1) & (set->capacity - 1);
    }
    set->slots[slot] = key;
    set->used++;
    return 1;
}

static int bl_set_grow(struct bl_set *set)
{
    struct bl_set larger;
    if (!bl_set_open(&larger, set->capacity * 2, set->spread))
        return 0;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i])
            bl_set_place(&larger, set->slots[i]);
    free(set->slots);
    *set = larger;
    return 1;
}

/* 0 without memory. */
static inline int bl_set_add(struct bl_set *set, uint64_t key)
{
    bl_set_place(set, key + (key == 0));
    return set->used * 2 <= set->capacity || bl_set_grow(set);
}

static void bl_set_clear(struct bl_set *set)
{
    memset(set->slots, 0, set->capacity * sizeof(uint64_t));
    set->used = 0;
}

#endif
