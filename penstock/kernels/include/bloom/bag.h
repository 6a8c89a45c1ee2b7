/* Where keys are gathered: a bag that takes them as they come, and a set for few.
 *
 * A set of millions of keys misses the cache with every look. The bag only appends, leaves out what it took lately, and
 * makes keys distinct at the end, part by part, each in a set that the cache holds: a tenth of the time. */
#ifndef PENSTOCK_BLOOM_BAG_H
#define PENSTOCK_BLOOM_BAG_H

#include "bloom/hash.h"

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

#define BL_LATELY 8192          /* slots: what repeats within a column mostly repeats soon */
#define BL_PARTS 256            /* by the upper eight bits of a key */
#define BL_ROOM (1u << 22)      /* keys, with repeats, before they are made distinct for the first time: 32 MB */

/* Keys that were put lately, each in the one slot that it can have. */
struct bl_lately {
    uint64_t slots[BL_LATELY];
};

/* Notes the key; whether it was there. */
static inline int bl_is_repeat(struct bl_lately *lately, uint64_t key, uint64_t spread)
{
    uint64_t *slot = &lately->slots[(key * spread >> 20) & (BL_LATELY - 1)];
    int is_repeat = *slot == key;
    *slot = key;
    return is_repeat;
}

/* Keys, some of them several times. */
struct bl_bag {
    uint64_t *keys;
    size_t used, size;
    size_t room; /* `used` at which they are made distinct */
    uint64_t spread;
};

static void bl_bag_open(struct bl_bag *bag, uint64_t spread)
{
    memset(bag, 0, sizeof *bag);
    bag->room = BL_ROOM;
    bag->spread = spread | 1;
}

/* The distinct keys of a part, to `out`; how many. The set has room for twice `n`. */
static size_t bl_distinct_part(const uint64_t *part, size_t n, struct bl_set *set, uint64_t *out)
{
    size_t found = 0;
    set->capacity = 16;
    while (set->capacity < 2 * n)
        set->capacity *= 2;
    bl_set_clear(set);
    for (size_t i = 0; i < n; i++)
        if (bl_set_place(set, part[i]))
            out[found++] = part[i];
    return found;
}

/* Leaves each key once, ordered by its upper eight bits; 0 without memory. */
static int bl_bag_settle(struct bl_bag *bag)
{
    size_t ends[BL_PARTS + 1] = {0}, largest = 0, kept = 0, start = 0;
    for (size_t i = 0; i < bag->used; i++)
        ends[bag->keys[i] >> 56]++;
    for (size_t part = 0, at = 0; part < BL_PARTS; part++) {
        size_t n = ends[part];
        ends[part] = at; /* where the part begins; the scatter below moves it to where it ends */
        at += n;
        largest = n > largest ? n : largest;
    }
    uint64_t *scattered = malloc((bag->used + 1) * sizeof *scattered);
    struct bl_set set;
    size_t capacity = 16;
    while (capacity < 2 * largest)
        capacity *= 2;
    int is_open = bl_set_open(&set, capacity, bag->spread);
    if (scattered && is_open) {
        for (size_t i = 0; i < bag->used; i++)
            scattered[ends[bag->keys[i] >> 56]++] = bag->keys[i];
        for (size_t part = 0; part < BL_PARTS; part++) {
            kept += bl_distinct_part(scattered + start, ends[part] - start, &set, bag->keys + kept);
            start = ends[part];
        }
        bag->used = kept;
    }
    free(set.slots);
    free(scattered);
    return scattered && is_open;
}

/* 0 without memory. */
static inline int bl_bag_put(struct bl_bag *bag, uint64_t key)
{
    if (__builtin_expect(bag->used == bag->size, 0)) {
        if (bag->used >= bag->room) {
            if (!bl_bag_settle(bag))
                return 0;
            bag->room = 2 * bag->used > BL_ROOM ? 2 * bag->used : BL_ROOM;
        }
        if (2 * bag->used >= bag->size) {
            size_t size = bag->size ? 2 * bag->size : 1 << 14;
            uint64_t *larger = realloc(bag->keys, size * sizeof *larger);
            if (!larger)
                return 0;
            bag->keys = larger;
            bag->size = size;
        }
    }
    bag->keys[bag->used++] = key;
    return 1;
}

#endif
