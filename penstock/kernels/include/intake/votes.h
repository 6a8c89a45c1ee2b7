/* Votes: which type holds most of a new field's values (`values.infer`). */
#ifndef PENSTOCK_INTAKE_VOTES_H
#define PENSTOCK_INTAKE_VOTES_H

#include <arpa/inet.h>

#include "lines.h"

/* In the order of FieldType; a tie goes to the first. */
enum pk_vote { PK_VOTE_KEYWORD, PK_VOTE_IP, PK_VOTE_LONG, PK_VOTE_DOUBLE, PK_VOTE_BOOLEAN, PK_VOTE_DATE, PK_VOTE_STRINGS, PK_VOTE_JSON, PK_VOTES };

/* Whether Python's ipaddress takes the text, zones aside. */
static int pk_is_address(pk_text p, size_t n)
{
    char text[48], out[16];
    int colons = 0;
    if (n < 2 || n > 45)
        return 0;
    for (size_t i = 0; i < n; i++) {
        int low = p[i] | 32;
        if (!pk_is_digit(p[i]) && (low < 'a' || low > 'f') && p[i] != ':' && p[i] != '.')
            return 0;
        colons += p[i] == ':';
    }
    memcpy(text, p, n);
    text[n] = 0;
    return inet_pton(colons ? AF_INET6 : AF_INET, text, out) == 1;
}

#define PK_SHORT_BYTES 320 /* 45 characters, each written as an escape, and the quotes */

/* The characters of a short string value, in `room` where it has escapes; NULL for what is long or no string. */
static pk_text pk_short_text(const struct pk_intake *k, const struct pk_leaf *leaf, uint8_t room[PK_SHORT_BYTES], size_t *n)
{
    pk_text p = k->base + leaf->at + 1;
    *n = leaf->bytes - 2;
    if (leaf->kind == PK_STRING)
        return p;
    if (leaf->kind != PK_ESCAPED || leaf->bytes > PK_SHORT_BYTES)
        return NULL;
    *n = (size_t)(pk_unescape(room, p, p + *n) - room);
    return room;
}

/* The instant of a string that is the canonical form of one, else PK_NO_TIME. */
PK_INLINE int64_t pk_date_of(const struct pk_intake *k, const struct pk_leaf *leaf)
{
    uint8_t room[PK_SHORT_BYTES];
    size_t n;
    pk_text p = pk_short_text(k, leaf, room, &n);
    return p ? pk_canonical_instant(p, n) : PK_NO_TIME;
}

static int pk_vote_of_string(const struct pk_intake *k, const struct pk_leaf *leaf)
{
    uint8_t room[PK_SHORT_BYTES];
    size_t n;
    pk_text p = pk_short_text(k, leaf, room, &n);
    if (p && pk_canonical_instant(p, n) != PK_NO_TIME)
        return PK_VOTE_DATE;
    return p && pk_is_address(p, n) ? PK_VOTE_IP : PK_VOTE_KEYWORD;
}

static int pk_vote_of(const struct pk_intake *k, const struct pk_leaf *leaf)
{
    switch (leaf->kind) {
    case PK_NULL_VALUE:
        return -1;
    case PK_FALSE: case PK_TRUE:
        return PK_VOTE_BOOLEAN;
    case PK_LONG:
        return PK_VOTE_LONG;
    case PK_DOUBLE:
        return PK_VOTE_DOUBLE;
    case PK_STRING: case PK_ESCAPED: case PK_LONE:
        return pk_vote_of_string(k, leaf);
    case PK_STRINGS:
        return PK_VOTE_STRINGS;
    default:
        return PK_VOTE_JSON;
    }
}

/* Counts what the values of some fields are: `slots` gives each field's place in `votes`, -1 for those not asked. */
static void pk_count_votes(const struct pk_intake *k, const int32_t *slots, uint32_t (*votes)[PK_VOTES])
{
    for (size_t i = 0; i < k->n_leaves; i++) {
        int32_t slot = slots[k->leaves[i].field];
        int vote = slot < 0 ? -1 : pk_vote_of(k, &k->leaves[i]);
        if (vote >= 0)
            votes[slot][vote]++;
    }
}

#endif
