/* JSON numbers: their kind by the token alone, and their values. */
#ifndef PENSTOCK_INTAKE_NUMBER_H
#define PENSTOCK_INTAKE_NUMBER_H

#include <locale.h>

#include "lines/number.h"
#include "text.h"

#define PK_REPR_BYTES 24 /* no double's repr is longer */

PK_INLINE int pk_is_digit(uint8_t c) { return (unsigned)(c - '0') < 10; }

/* The C library's strtod follows the process's locale; this one has a point whatever it is. Set once, at import. */
static locale_t pk_c_locale;

static double pk_read_double(pk_text p, size_t n)
{
    char token[PK_REPR_BYTES + 1];
    memcpy(token, p, n);
    token[n] = 0;
    return strtod_l(token, NULL, pk_c_locale);
}

/* Whether Python would write this very token for the double that it is. */
static int pk_is_repr(pk_text p, size_t n)
{
    uint8_t out[PK_NUMBER_BOUND];
    if (n > PK_REPR_BYTES)
        return 0;
    return (size_t)(pk_put_double(out, pk_read_double(p, n)) - out) == n && !memcmp(out, p, n);
}

static enum pk_kind pk_kind_of_integer(pk_text digits, size_t n, int is_negative)
{
    static const char least[] = "9223372036854775808"; /* 2^63: only as a negative number */
    int above = n < 19 ? -1 : n > 19 ? 1 : memcmp(digits, least, 19);
    if (is_negative)
        return above <= 0 && *digits != '0' ? PK_LONG : PK_NUMBER;
    return above < 0 ? PK_LONG : PK_NUMBER;
}

/* Returns the end of the number, NULL if it is none. */
PK_INLINE pk_text pk_scan_number(pk_text p, enum pk_kind *kind)
{
    pk_text start = p, whole, fraction = NULL, exponent = NULL;
    p += *p == '-';
    whole = p;
    if (*p == '0')
        p++;
    else
        while (pk_is_digit(*p))
            p++;
    size_t digits = (size_t)(p - whole);
    if (!digits)
        return NULL;
    if (*p == '.') {
        fraction = ++p;
        while (pk_is_digit(*p))
            p++;
        if (p == fraction)
            return NULL;
        digits += (size_t)(p - fraction);
    }
    if ((*p | 32) == 'e') {
        p++;
        p += *p == '+' || *p == '-';
        exponent = p;
        while (pk_is_digit(*p))
            p++;
        if (p == exponent)
            return NULL;
    }
    if (!fraction && !exponent) {
        *kind = pk_kind_of_integer(whole, digits, whole != start);
        return p;
    }
    /* DBL_DIG: a decimal of up to 15 digits survives the way into a double and back. */
    if (!exponent && digits <= 15) { /* each has a double of its own: its repr is this token, but for zeros at an end */
        /* Below 1e-4 Python writes an exponent. */
        int is_tiny = *whole == '0' && p - fraction >= 4 && !memcmp(fraction, "0000", 4);
        if (!is_tiny) {
            *kind = p[-1] != '0' || p - fraction == 1 ? PK_DOUBLE : PK_NUMBER;
            return p;
        }
    }
    *kind = pk_is_repr(start, (size_t)(p - start)) ? PK_DOUBLE : PK_NUMBER;
    return p;
}

static int64_t pk_to_long(pk_text p, size_t n)
{
    uint64_t v = 0;
    int is_negative = *p == '-';
    for (size_t i = (size_t)is_negative; i < n; i++)
        v = v * 10 + (uint64_t)(p[i] - '0');
    return (int64_t)(is_negative ? 0 - v : v);
}

static double pk_to_double(pk_text p, size_t n)
{
    static const double tens[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    if (n <= 16) { /* at most 15 digits: one exact division, unless it has an exponent */
        uint64_t v = 0;
        size_t is_negative = *p == '-', after = 0, i = is_negative;
        for (int seen = 0; i < n && p[i] != 'e'; i++) {
            if (p[i] == '.')
                seen = 1;
            else {
                v = v * 10 + (uint64_t)(p[i] - '0');
                after += (size_t)seen;
            }
        }
        /* Both numbers are exact doubles (v < 2^53, 10^15 at most), so that the one division rounds once, correctly. */
        if (i == n)
            return is_negative ? -((double)v / tens[after]) : (double)v / tens[after];
    }
    return pk_read_double(p, n);
}

#endif
