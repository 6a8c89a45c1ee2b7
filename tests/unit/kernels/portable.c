/* The kernel's text, numbers and overflow scanner against naive ones, for the builds that Python's tests cannot load:
 * plain C without SIMD, and NEON under emulation. Prints how many values it compared; exits 1 at the first difference. */
#include <stdio.h>

#include "lines/rows.h"

static uint32_t state = 12345;
static uint32_t next(void) { return state = state * 1664525u + 1013904223u, state >> 8; }

static size_t naive(char *o, const uint8_t *s, size_t n)
{
    char *begin = o;
    *o++ = '"';
    for (size_t i = 0; i < n; i++) {
        static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
        const char *hit = s[i] ? strchr(from, s[i]) : NULL;
        if (hit)
            o += sprintf(o, "\\%c", to[hit - from]);
        else if (s[i] < 0x20)
            o += sprintf(o, "\\u%04x", s[i]);
        else
            *o++ = (char)s[i];
    }
    *o++ = '"';
    return (size_t)(o - begin);
}

static int compare(struct pk_column *column, const uint8_t *s, size_t n)
{
    char *expected = malloc(6 * n + 2);
    size_t wanted = naive(expected, s, n);
    struct pk_output out = {.start = malloc(PK_VALUE_BOUND)};
    out.end = out.start + PK_VALUE_BOUND;
    uint8_t *o = pk_put_value(&out, out.start, column, 0, 0);
    int same = o && (size_t)(o - out.start) == wanted && !memcmp(out.start, expected, wanted);
    if (!same)
        printf("differs: %.*s\n", (int)n, (const char *)s);
    free(out.start);
    free(expected);
    return same;
}

int main(void)
{
    pk_text_init();
    long compared = 0;
    for (int round = 0; round < 20000; round++, compared += 2) {
        size_t n = next() % 80;
        uint8_t *s = malloc(n ? n : 1);
        for (size_t i = 0; i < n; i++)
            s[i] = next() % 8 ? (uint8_t)('a' + next() % 26) : next() % 4 ? (uint8_t)next() : (uint8_t)"\"\\\n\x01"[next() % 4];
        int32_t offsets[2] = {0, (int32_t)n};
        struct pk_column utf8 = {.kind = PK_UTF8, .length = 1, .values = (uint8_t *)offsets, .text = s, .text_end = s + n};
        uint8_t view[16] = {0};
        memcpy(view, &offsets[1], 4);
        if (n <= 12)
            memcpy(view + 4, s, n);
        int64_t bytes = (int64_t)n;
        const uint8_t *blocks[1] = {s};
        struct pk_column views = {
            .kind = PK_VIEW, .length = 1, .values = view, .blocks = blocks, .block_bytes = &bytes, .n_blocks = 1};
        if (!compare(&utf8, s, n) || !compare(&views, s, n))
            return 1;
        free(s);
    }
    for (int round = 0; round < 20000; round++, compared++) {
        uint64_t v = ((uint64_t)next() << 40 ^ (uint64_t)next() << 20 ^ next()) >> next() % 64;
        char text[24];
        uint8_t ours[PK_NUMBER_BOUND];
        int wanted = sprintf(text, "%lld", (long long)v);
        if (pk_put_signed(ours, (int64_t)v) - ours != wanted || memcmp(ours, text, (size_t)wanted)) {
            printf("differs: %s\n", text);
            return 1;
        }
    }
    printf("%ld\n", compared);
    return 0;
}
