/* Numbers and times: integers, shortest round-trip doubles, RFC 3339 instants. None writes more than PK_NUMBER_BOUND. */
#ifndef PENSTOCK_LINES_NUMBER_H
#define PENSTOCK_LINES_NUMBER_H

#include "lines/output.h"

/* The longest are a nanosecond instant with quotes (32) and a double (24); wide copies may touch as far as this. */
#define PK_NUMBER_BOUND 48

static const char pk_pairs[] =
    "0001020304050607080910111213141516171819"
    "2021222324252627282930313233343536373839"
    "4041424344454647484950515253545556575859"
    "6061626364656667686970717273747576777879"
    "8081828384858687888990919293949596979899";

PK_INLINE uint8_t *pk_put_pair(uint8_t *o, uint32_t v)
{
    memcpy(o, pk_pairs + 2 * v, 2);
    return o + 2;
}

PK_INLINE unsigned pk_count_digits(uint64_t v)
{
    static const uint64_t powers[20] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
        10000000000u, 100000000000u, 1000000000000u, 10000000000000u, 100000000000000u, 1000000000000000u,
        10000000000000000u, 100000000000000000u, 1000000000000000000u, 10000000000000000000u};
    v |= 1; /* zero has one digit; no other count changes */
    unsigned digits = ((64 - (unsigned)__builtin_clzll(v)) * 1233) >> 12; /* log10(2) * bits: at most one too few */
    return digits + (v >= powers[digits]);
}

/* Exactly `digits` decimal digits of v at o. */
PK_INLINE void pk_put_digits(uint8_t *o, uint64_t v, unsigned digits)
{
    uint8_t *e = o + digits;
    while (v >= 100) {
        e -= 2;
        memcpy(e, pk_pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (e - o == 2)
        memcpy(o, pk_pairs + 2 * v, 2);
    else
        *o = (uint8_t)('0' + v);
}

PK_INLINE uint8_t *pk_put_unsigned(uint8_t *o, uint64_t v)
{
    unsigned digits = pk_count_digits(v);
    pk_put_digits(o, v, digits);
    return o + digits;
}

PK_INLINE uint8_t *pk_put_signed(uint8_t *o, int64_t v)
{
    /* Negated as unsigned, since -INT64_MIN does not exist. */
    uint64_t magnitude = (uint64_t)v;
    if (v < 0) {
        *o++ = '-';
        magnitude = 0 - magnitude;
    }
    return pk_put_unsigned(o, magnitude);
}

PK_INLINE uint8_t *pk_put_bool(uint8_t *o, int truth)
{
    memcpy(o, truth ? "true\0" : "false", 5);
    return o + (truth ? 4 : 5);
}

/* Doubles: Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020; constants and bounds as there).
 * ceil(10^k * 2^s) with s such that it has 128 bits; k from PK_POWER_FIRST. Filled once, by exact integers, at import. */
#define PK_POWER_FIRST (-292)
#define PK_POWER_LAST 324
static uint64_t pk_powers[PK_POWER_LAST - PK_POWER_FIRST + 1][2]; /* high, low */

typedef unsigned __int128 pk_u128;

PK_INLINE int32_t pk_floor_log2_pow10(int32_t e) { return (e * 1741647) >> 19; }

PK_INLINE uint64_t pk_round_to_odd(const uint64_t g[2], uint64_t cp)
{
    pk_u128 low = (pk_u128)g[1] * cp, high = (pk_u128)g[0] * cp + (uint64_t)(low >> 64);
    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* The shortest decimal that reads back as the finite, positive double `bits`: digits * 10^exponent. */
static uint64_t pk_shortest(uint64_t bits, int32_t *exponent)
{
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    uint32_t biased = (uint32_t)(bits >> 52);
    uint64_t c = biased ? fraction | ((uint64_t)1 << 52) : fraction;
    int32_t q = biased ? (int32_t)biased - 1075 : -1074;
    if (biased && q <= 0 && q > -53 && !(c & (((uint64_t)1 << -q) - 1))) {
        *exponent = 0; /* a whole number below 2^53 */
        return c >> -q;
    }
    /* All in quarters of the distance between neighbours: c is 4c, the borders halfway to them 4c - 2 and 4c + 2. At
     * a power of two the neighbour below is half as far. Borders belong to an even c, since a tie is read to it. */
    int even = !(c & 1), lower_is_closer = fraction == 0 && biased > 1;
    uint64_t left = 4 * c - 2 + (uint64_t)lower_is_closer, mid = 4 * c, right = 4 * c + 2;
    /* floor(q log10 2), or floor(log10 (3/4 2^q)) at a power of two, in fixed point; exact for all q of a double. */
    int32_t k = (q * 1262611 - (lower_is_closer ? 524031 : 0)) >> 22;
    int32_t h = q + pk_floor_log2_pow10(-k) + 1;
    const uint64_t *g = pk_powers[-k - PK_POWER_FIRST];
    uint64_t lower = pk_round_to_odd(g, left << h) + !even;
    uint64_t v = pk_round_to_odd(g, mid << h);
    uint64_t upper = pk_round_to_odd(g, right << h) - !even;
    /* One digit fewer first, if exactly one of its two candidates lies inside the borders. */
    uint64_t s = v / 4;
    if (s >= 10) {
        uint64_t shorter = s / 10;
        int down = lower <= 40 * shorter, up = 40 * shorter + 40 <= upper;
        if (down != up) {
            *exponent = k + 1;
            return shorter + (uint64_t)up;
        }
    }
    *exponent = k;
    int down = lower <= 4 * s, up = 4 * s + 4 <= upper;
    if (down != up)
        return s + (uint64_t)up;
    uint64_t half = 4 * s + 2;
    return s + (uint64_t)(v > half || (v == half && (s & 1)));
}

/* A double as Python's repr writes it; null where JSON has no number. */
static uint8_t *pk_put_double(uint8_t *o, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    if ((bits >> 52 & 0x7ff) == 0x7ff) {
        memcpy(o, "null", 4);
        return o + 4;
    }
    if (bits >> 63)
        *o++ = '-';
    bits &= ~((uint64_t)1 << 63);
    if (!bits) {
        memcpy(o, "0.0", 3);
        return o + 3;
    }
    int32_t exponent;
    uint64_t digits = pk_shortest(bits, &exponent);
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    int32_t n = (int32_t)pk_count_digits(digits), point = n + exponent; /* the point stands after `point` digits */
    /* Where Python's repr changes over to an exponent: from 1e16 on, and below 1e-4. */
    if (point > 16 || point <= -4) { /* d.ddde+XX */
        pk_put_digits(o + 1, digits, (unsigned)n);
        o[0] = o[1];
        o[1] = '.';
        o += n > 1 ? n + 1 : 1;
        int32_t power = point - 1;
        *o++ = 'e';
        *o++ = power < 0 ? '-' : '+';
        power = power < 0 ? -power : power;
        if (power >= 100) {
            *o++ = (uint8_t)('0' + power / 100);
            power %= 100;
        }
        return pk_put_pair(o, (uint32_t)power);
    }
    if (point <= 0) { /* 0.000ddd */
        memcpy(o, "0.000", 5);
        o += 2 - point;
        pk_put_digits(o, digits, (unsigned)n);
        return o + n;
    }
    pk_put_digits(o, digits, (unsigned)n);
    if (point >= n) { /* ddd000.0 */
        memset(o + n, '0', (size_t)(point - n));
        memcpy(o + point, ".0", 2);
        return o + point + 2;
    }
    memmove(o + point + 1, o + point, (size_t)(n - point)); /* ddd.ddd */
    o[point] = '.';
    return o + n + 1;
}

/* Times. The text of the last second is kept: sorted events share it. */
struct pk_clock {
    int64_t begin;    /* first tick of the second in `text` */
    uint64_t ticks;   /* ticks a second; 0: nothing kept yet */
    uint8_t text[24]; /* "YYYY-MM-DDTHH:MM:SS with its opening quote, 20 bytes */
};

/* `"YYYY-MM-DD` at o, opening quote included; 0 if outside the years 0001 to 9999. */
static int pk_put_day(uint8_t *o, int64_t day)
{
    if (day < -719162 || day > 2932896)
        return 0;
    uint32_t z = (uint32_t)(day + 719468), era = z / 146097, doe = z % 146097; /* days from 0000-03-01 */
    uint32_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint32_t mp = (5 * doy + 2) / 153, month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    *o++ = '"';
    o = pk_put_pair(o, year / 100);
    o = pk_put_pair(o, year % 100);
    *o++ = '-';
    o = pk_put_pair(o, month);
    *o++ = '-';
    pk_put_pair(o, doy - (153 * mp + 2) / 5 + 1);
    return 1;
}

static __attribute__((noinline)) int pk_clock_set(struct pk_clock *clock, int64_t value, int64_t per_second)
{
    int64_t second = value / per_second, day;
    /* C rounds towards zero, a second begins below: -1 ms is in the last second of 1969. */
    if (value % per_second < 0)
        second--;
    day = second / 86400;
    if (second % 86400 < 0)
        day--;
    clock->ticks = 0;
    if (!pk_put_day(clock->text, day))
        return 0;
    uint32_t of_day = (uint32_t)(second - day * 86400);
    uint8_t *o = clock->text + 11;
    *o++ = 'T';
    o = pk_put_pair(o, of_day / 3600);
    *o++ = ':';
    o = pk_put_pair(o, of_day / 60 % 60);
    *o++ = ':';
    pk_put_pair(o, of_day % 60);
    clock->begin = (int64_t)((uint64_t)second * (uint64_t)per_second); /* may wrap at the far end; so does the test */
    clock->ticks = (uint64_t)per_second;
    return 1;
}

PK_INLINE uint8_t *pk_put_three(uint8_t *o, uint32_t v)
{
    *o = (uint8_t)('0' + v / 100);
    return pk_put_pair(o + 1, v % 100);
}

/* An instant with quotes; NULL if outside the years 0001 to 9999. */
PK_INLINE uint8_t *pk_put_instant(uint8_t *o, int64_t value, int64_t per_second, struct pk_clock *clock)
{
    /* Unsigned: a time before the kept second is a huge difference, so that one comparison tells both ways out. */
    if (PK_UNLIKELY((uint64_t)value - (uint64_t)clock->begin >= clock->ticks) && !pk_clock_set(clock, value, per_second))
        return NULL;
    uint32_t fraction = (uint32_t)((uint64_t)value - (uint64_t)clock->begin);
    memcpy(o, clock->text, 20);
    o += 20;
    if (fraction) {
        uint32_t nanos = fraction * (uint32_t)(1000000000 / per_second);
        uint32_t milli = nanos / 1000000, micro = nanos / 1000 % 1000, nano = nanos % 1000;
        *o++ = '.';
        o = pk_put_three(o, milli);
        if (micro | nano)
            o = pk_put_three(o, micro);
        if (nano)
            o = pk_put_three(o, nano);
    }
    memcpy(o, "Z\"", 2);
    return o + 2;
}

#endif
