/* Times: what an event may have as its time, and the one form that a date column renders (fields/values.py). */
#ifndef PENSTOCK_INTAKE_INSTANT_H
#define PENSTOCK_INTAKE_INSTANT_H

#include "number.h"

#define PK_NO_TIME INT64_MIN        /* surely no usable time */
#define PK_UNSURE (INT64_MIN + 1)   /* Python must look */
#define PK_FIRST_US (-62135596800000000) /* 0001-01-01 */
#define PK_END_US 253402300800000000     /* 10000-01-01 */

/* Two digits as a number, negative if they are none. */
PK_INLINE int pk_two(pk_text p)
{
    unsigned a = (unsigned)(p[0] - '0'), b = (unsigned)(p[1] - '0');
    return a > 9 || b > 9 ? -1 : (int)(a * 10 + b);
}

/* Seconds since 1970 of the 19 characters of a date and a time of day; PK_NO_TIME if they are none. `second` up to 60. */
static int64_t pk_seconds(pk_text p)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int century = pk_two(p), years = pk_two(p + 2), month = pk_two(p + 5), day = pk_two(p + 8);
    int hour = pk_two(p + 11), minute = pk_two(p + 14), second = pk_two(p + 17);
    if ((century | years | month | day | hour | minute | second) < 0 || p[4] != '-' || p[7] != '-' || p[13] != ':' || p[16] != ':')
        return PK_NO_TIME;
    int year = century * 100 + years, is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > lengths[month - 1] + (month == 2 && is_leap) || hour > 23
        || minute > 59 || second > 60)
        return PK_NO_TIME;
    /* Years that begin in March: the leap day is then the last one, and the months before it have fixed places. */
    int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

/* Microseconds of the fraction's digits at p, of which those past the sixth are cut off; *p goes past all. */
PK_INLINE int64_t pk_micros(pk_text *p)
{
    int64_t us = 0;
    int n = 0;
    for (; pk_is_digit(**p); (*p)++)
        if (n < 6) {
            us = us * 10 + (**p - '0');
            n++;
        }
    for (; n < 6; n++)
        us *= 10;
    return us;
}

/* The instant of a string in the canonical form; PK_NO_TIME for any other. */
static int64_t pk_canonical_instant(pk_text p, size_t n)
{
    /* A leap second is a time, but not one that a date column renders again. */
    if ((n != 20 && n != 24 && n != 27) || p[10] != 'T' || p[n - 1] != 'Z' || p[17] == '6')
        return PK_NO_TIME;
    int64_t seconds = pk_seconds(p), us = 0;
    if (seconds == PK_NO_TIME)
        return PK_NO_TIME;
    if (n > 20) {
        pk_text q = p + 20;
        us = p[19] == '.' ? pk_micros(&q) : 0;
        if (q != p + n - 1 || us == 0 || (n == 27 && us % 1000 == 0)) /* `.000` and `.120000` are written shorter */
            return PK_NO_TIME;
    }
    return seconds * 1000000 + us;
}

/* The instant of any string that an event may have as its time (`values.parse_timestamp`); else PK_NO_TIME. */
static int64_t pk_any_instant(pk_text p, size_t n)
{
    pk_text end = p + n, q = p + 19;
    if (n < 19 || (p[10] != 'T' && p[10] != 't' && p[10] != ' '))
        return PK_NO_TIME;
    int64_t seconds = pk_seconds(p), us = 0;
    if (seconds == PK_NO_TIME)
        return PK_NO_TIME;
    if (q < end && (*q == '.' || *q == ',')) {
        if (!pk_is_digit(*++q)) /* the closing quote is no digit */
            return PK_NO_TIME;
        us = pk_micros(&q);
    }
    if (q < end && (*q == 'Z' || *q == 'z'))
        q++;
    else if (q < end && (*q == '+' || *q == '-')) {
        int sign = *q == '+' ? 1 : -1, hours = end - q < 5 ? -1 : pk_two(q + 1);
        pk_text rest = q + 3 + (end - q == 6 && q[3] == ':');
        int minutes = end - rest == 2 ? pk_two(rest) : -1;
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
            return PK_NO_TIME;
        seconds -= sign * (hours * 60 + minutes) * 60;
        q = end;
    }
    us += seconds * 1000000;
    return q == end && us >= PK_FIRST_US && us < PK_END_US ? us : PK_NO_TIME;
}

/* The instant of a positive number without an exponent: seconds, milli-, micro- or nanoseconds, by size. */
static int64_t pk_number_instant(pk_text p, size_t n)
{
    static const int64_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
    pk_text end = p + n, q = p;
    uint64_t whole = 0;
    if (!n || !pk_is_digit(*p))
        return PK_UNSURE; /* negative */
    while (q < end && *q == '0')
        q++;
    pk_text first = q;
    for (; q < end && pk_is_digit(*q); q++) {
        if (q - first >= 20)
            return PK_UNSURE;
        if (q - first < 18)
            whole = whole * 10 + (uint64_t)(*q - '0');
    }
    size_t digits = (size_t)(q - first);
    if (digits > 18) /* nanoseconds: the last two digits do not reach a microsecond, and 20 digits fit no 64 bits */
        return q == end || *q == '.' ? (int64_t)(whole / (digits == 19 ? 100 : 10)) : PK_UNSURE;
    int fraction_digits = digits <= 11 ? 6 : digits <= 14 ? 3 : 0;
    int64_t us = (int64_t)whole * powers[fraction_digits];
    if (digits > 17)
        us = (int64_t)(whole / 1000);
    if (q < end && *q == '.') {
        pk_text after = ++q;
        for (; q < end && pk_is_digit(*q); q++)
            if (q - after < fraction_digits)
                us += (*q - '0') * powers[fraction_digits - 1 - (q - after)];
        if (q == after)
            return PK_UNSURE;
    }
    if (q != end)
        return PK_UNSURE;
    return us < PK_END_US ? us : PK_NO_TIME;
}

#endif
