/* JSON strings: checked in place, unescaped, and written again as Python writes them.
 *
 * Every text is followed by PK_PADDING readable bytes of which the first is a newline: no string goes past it, so a scan
 * needs no look at the end. */
#ifndef PENSTOCK_INTAKE_TEXT_H
#define PENSTOCK_INTAKE_TEXT_H

#include "memory.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define PK_PADDING 64

/* What a value is; decided once, by the scan. */
enum pk_kind {
    PK_NULL_VALUE,
    PK_FALSE,
    PK_TRUE,
    PK_LONG,
    PK_DOUBLE,  /* a number that Python's repr writes with this very token */
    PK_NUMBER,  /* any other number */
    PK_STRING,  /* without escapes */
    PK_ESCAPED, /* with escapes */
    PK_LONE,    /* with half a surrogate pair, which UTF-8 cannot hold */
    PK_STRINGS, /* a list of strings, perhaps empty */
    PK_LIST,    /* any other list */
    PK_EMPTY,   /* {} */
};

PK_INLINE pk_text pk_skip(pk_text p) /* a newline ends the line */
{
    while (*p == ' ' || *p == '\t' || *p == '\r')
        p++;
    return p;
}

/* Length of the UTF-8 sequence at p, 0 if it is none. */
static unsigned pk_sequence(pk_text p)
{
    uint8_t a = p[0], b = p[1];
    if (a < 0xc2)
        return 0;
    if (a < 0xe0)
        return (b & 0xc0) == 0x80 ? 2 : 0;
    if ((b & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
        return 0;
    if (a < 0xf0)
        return (a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) ? 0 : 3;
    if (a > 0xf4 || (p[3] & 0xc0) != 0x80)
        return 0;
    return (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f) ? 0 : 4;
}

/* The value of four hexadecimal digits, -1 if they are none. */
static int pk_hex4(pk_text p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int c = p[i], low = c | 32;
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        v = v << 4 | digit;
    }
    return v;
}

/* The first byte at or behind p that is a quote, a backslash, a control character or no ASCII. */
PK_INLINE pk_text pk_plain_end(pk_text p)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(32);
    for (;; p += 16) { /* signed comparison: bytes from 0x80 on are below the space too */
        __m128i x = _mm_loadu_si128((const __m128i *)p);
        __m128i ends = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, slash)), _mm_cmplt_epi8(x, space));
        unsigned mask = (unsigned)_mm_movemask_epi8(ends);
        if (mask)
            return p + __builtin_ctz(mask);
    }
#else
    while (*p >= 32 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
#endif
}

/* What follows the escape at p, NULL if it is none. */
static pk_text pk_scan_escape(pk_text p, enum pk_kind *kind)
{
    if (*kind == PK_STRING)
        *kind = PK_ESCAPED;
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
        return p + 2;
    case 'u':
        break;
    default:
        return NULL;
    }
    int unit = pk_hex4(p + 2);
    if (unit < 0)
        return NULL;
    p += 6;
    if ((unit & 0xf800) != 0xd800)
        return p;
    int low = unit < 0xdc00 && p[0] == '\\' && p[1] == 'u' ? pk_hex4(p + 2) : -1;
    if (low >= 0 && (low & 0xfc00) == 0xdc00)
        return p + 6;
    /* Goes on all the same: JSON may hold half a pair, and such a string is kept as its text, in the overflow. */
    *kind = PK_LONE;
    return p;
}

/* p stands behind the opening quote. Returns the closing quote, NULL if the string is wrong. */
PK_INLINE pk_text pk_scan_string(pk_text p, enum pk_kind *kind)
{
    *kind = PK_STRING;
    for (;;) {
        p = pk_plain_end(p);
        if (PK_LIKELY(*p == '"'))
            return p;
        if (*p >= 0x80) {
            unsigned n = pk_sequence(p);
            if (!n)
                return NULL;
            do
                p += n;
            while (*p >= 0x80 && (n = pk_sequence(p))); /* a broken one comes round again and is found */
        } else if (*p != '\\' || !(p = pk_scan_escape(p, kind)))
            return NULL;
    }
}

/* The character of the escape at *p in a checked string; *p goes past it. Half a pair comes out unchanged. */
static uint32_t pk_escape(pk_text *p)
{
    pk_text q = *p + 2;
    uint32_t c = q[-1];
    switch (c) {
    case 'b': c = 8; break;
    case 'f': c = 12; break;
    case 'n': c = 10; break;
    case 'r': c = 13; break;
    case 't': c = 9; break;
    case 'u':
        c = (uint32_t)pk_hex4(q);
        q += 4;
        if ((c & 0xfc00) == 0xd800 && q[0] == '\\' && q[1] == 'u') {
            int low = pk_hex4(q + 2);
            if (low >= 0 && (low & 0xfc00) == 0xdc00) {
                c = 0x10000 + ((c & 0x3ff) << 10) + ((uint32_t)low & 0x3ff);
                q += 6;
            }
        }
    }
    *p = q;
    return c;
}

PK_INLINE uint8_t *pk_put_char(uint8_t *o, uint32_t c)
{
    if (c < 0x80) {
        *o++ = (uint8_t)c;
        return o;
    }
    if (c < 0x800)
        *o++ = (uint8_t)(0xc0 | c >> 6);
    else {
        if (c < 0x10000)
            *o++ = (uint8_t)(0xe0 | c >> 12);
        else {
            *o++ = (uint8_t)(0xf0 | c >> 18);
            *o++ = (uint8_t)(0x80 | (c >> 12 & 63));
        }
        *o++ = (uint8_t)(0x80 | (c >> 6 & 63));
    }
    *o++ = (uint8_t)(0x80 | (c & 63));
    return o;
}

/* The characters of a checked string without half a pair. Needs no more room than the string. */
static uint8_t *pk_unescape(uint8_t *o, pk_text p, pk_text end)
{
    while (p < end) {
        pk_text slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        memcpy(o, p, plain);
        o += plain;
        p += plain;
        if (slash)
            o = pk_put_char(o, pk_escape(&p));
    }
    return o;
}

/* A character inside a string as Python's json writes it; at most 6 bytes. */
static uint8_t *pk_put_json_char(uint8_t *o, uint32_t c)
{
    static const char hex[] = "0123456789abcdef", short_of[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    for (int i = 0; i < 14; i += 2)
        if (c == (uint8_t)short_of[i]) {
            *o++ = '\\';
            *o++ = (uint8_t)short_of[i + 1];
            return o;
        }
    if (c >= 32 && (c & 0xfffff800) != 0xd800)
        return pk_put_char(o, c);
    *o++ = '\\';
    *o++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *o++ = (uint8_t)hex[c >> shift & 15];
    return o;
}

/* Any checked value, compact, as the reference writes it. Needs no more room than the value. */
static uint8_t *pk_put_canonical(uint8_t *o, pk_text p, pk_text end)
{
    int inside = 0;
    while (p < end) {
        uint8_t c = *p;
        if (inside && c == '\\') {
            o = pk_put_json_char(o, pk_escape(&p));
            continue;
        }
        if (c == '"')
            inside = !inside;
        if (inside || (c != ' ' && c != '\t' && c != '\r'))
            *o++ = c;
        p++;
    }
    return o;
}

#endif
