/* Deflate for lines whose values are marked: matches are sought where the writer knows that values begin.
 *
 * A block is coded while it is taken apart, with the codes that the block before would have wanted (the first: a sample
 * of itself), so that no second pass is needed. What does not pay for a column is left off for some blocks. The output
 * depends on nothing but lines and marks: not on the processor, and not on how they were cut when they came. */
#ifndef PENSTOCK_DEFLATE_H
#define PENSTOCK_DEFLATE_H

#include "deflate/text.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define PK_SAMPLE 65536   /* bytes of the first block that its codes are made from */
#define PK_REST_BLOCKS 15 /* how long what does not pay is left off */

/* Most bytes that a block or a flush writes, wide stores included: a literal takes up to 14 bits, a match of three bytes up
 * to 47. A block that comes out larger than it was is then stored. */
#define PK_BLOCK_BOUND (2 * PK_BLOCK + 1024)

static void pk_deflate_init(void) { pk_writer_init(); }

/* A state, to be freed with free(); NULL without memory. It is 1.6 MiB, read and written all over: in one huge page, where
 * the system has them, that is 4 to 15 % faster (misses in the table of pages). */
static struct pk_deflate *pk_deflate_new(void)
{
    size_t size = (sizeof(struct pk_deflate) + PK_HUGE_PAGE - 1) / PK_HUGE_PAGE * PK_HUGE_PAGE;
    struct pk_deflate *d = aligned_alloc(PK_HUGE_PAGE, size);
#if defined(MADV_HUGEPAGE)
    if (d)
        madvise(d, size, MADV_HUGEPAGE);
#endif
    if (d)
        memset(d, 0, sizeof *d);
    return d;
}

/* ISA-L's checksums leave the upper halves of the wide registers dirty (no `vzeroupper`), which slows the code after them in
 * that thread until something clears them: ours by 2 %, zlib's by 29 %, measured on Zen 5. */
#if defined(__x86_64__)
__attribute__((target("avx"))) static void pk_zero_upper(void) { _mm256_zeroupper(); }
#endif
static void pk_clear_upper_halves(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx"))
        pk_zero_upper();
#endif
}

/* Nothing was seen yet: the remembered positions all lie too far back. When they grow so old that, in 16 bits, they seem
 * near again, what they point at is text of this segment, so reading it is safe. */
static void pk_forget(struct pk_deflate *d)
{
    uint16_t *slots = (uint16_t *)&d->newest;
    for (size_t i = 0; i < sizeof d->newest / sizeof *slots; i++)
        slots[i] = PK_BEFORE - 1 - PK_WINDOW;
    d->previous_column = 0;
}

/* Begins a segment. */
static void pk_deflate_begin(struct pk_deflate *d, enum pk_level level)
{
    d->begin = d->end = PK_BEFORE;
    d->bits = d->n_bits = d->shift = 0;
    d->n_marks = d->has_plain = 0;
    d->level = (uint8_t)level;
    d->is_first = 1;
    memset(d->delimiters, 0, sizeof d->delimiters);
    memset(d->literal_counts, 0, sizeof d->literal_counts);
    memset(d->distance_counts, 0, sizeof d->distance_counts);
    for (int column = 0; column < PK_COLUMNS; column++)
        d->policies[column] = (struct pk_policy){.looks_up = 1, .text_mode = level == PK_FASTEST ? PK_FOLLOW : PK_SCAN};
    pk_forget(d);
}

/* Takes the part of a mark that lies in [from, to), both counted as the mark is; those bytes go `shift` bytes on. */
static void pk_take_cut_mark(struct pk_deflate *d, struct pk_mark mark, size_t from, size_t to, size_t shift)
{
    struct pk_mark *last = d->marks + d->n_marks - 1;
    int is_rest = mark.start < from, is_plain = mark.kind == PK_MARK_PLAIN;
    d->has_plain |= (uint8_t)is_plain;
    mark.start = (uint32_t)((is_rest ? from : mark.start) + shift);
    mark.end = (uint32_t)((mark.end > to ? to : mark.end) + shift);
    if (is_rest && !is_plain)
        mark.kind = PK_MARK_REST;
    if (d->n_marks && is_plain && last->kind == PK_MARK_PLAIN && last->end == mark.start)
        last->end = mark.end; /* however plain text is cut when it comes, it is one */
    else if (d->n_marks < PK_MARKS)
        d->marks[d->n_marks++] = mark;
}

/* Takes the marks of bytes [from, to); `*marks` moves on to the first that is not done. If a block had more than PK_MARKS,
 * which no writer of lines can reach, the bytes of the rest would become literals. */
static void pk_take_marks(struct pk_deflate *d, size_t from, size_t to, const struct pk_mark **marks, const struct pk_mark *last)
{
    const struct pk_mark *m = *marks;
    size_t shift = d->end - from;
    if (m < last && (m->start < from || m->kind == PK_MARK_PLAIN)) {
        pk_take_cut_mark(d, *m, from, to, shift);
        m += m->end <= to;
    }
    struct pk_mark *out = d->marks + d->n_marks, *full = d->marks + PK_MARKS;
    for (; m < last && m->end <= to && out < full; m++, out++) {
        *out = *m;
        out->start += (uint32_t)shift;
        out->end += (uint32_t)shift;
    }
    d->n_marks = (size_t)(out - d->marks);
    if (m < last && m->start >= from && m->start < to)
        pk_take_cut_mark(d, *m, from, to, shift);
    *marks = m;
}

/* Takes up to a block of lines; how many bytes it took. `*marks` are those of `in`, which lies `origin` bytes behind what
 * they count from; it moves on to the first that is not done. When a block is full it must be written. */
static size_t pk_deflate_take(struct pk_deflate *d, const uint8_t *in, size_t size, size_t origin,
    const struct pk_mark **marks, const struct pk_mark *last)
{
    size_t room = PK_BLOCK - (d->end - d->begin);
    size = size < room ? size : room;
    memcpy(d->lines + d->end, in, size);
    pk_take_marks(d, origin, origin + size, marks, last);
    d->end += size;
    return size;
}

static int pk_is_full(const struct pk_deflate *d) { return d->end - d->begin == PK_BLOCK; }

/* Puts the text up to `end` with the codes at hand. */
static void pk_put_block(struct pk_deflate *d, struct pk_writer *to, size_t end_at)
{
    struct pk_writer w = *to;
    const uint8_t *done = d->lines + d->begin, *end = d->lines + end_at;
    pk_put_codes(d, &w);
    for (const struct pk_mark *at = d->marks, *last = at + d->n_marks; at < last && at->start < end_at; at++) {
        struct pk_mark mark = *at;
        if (mark.end > end_at)
            mark.end = (uint32_t)end_at;
        const uint8_t *v = d->lines + mark.start, *stop = d->lines + mark.end;
        struct pk_policy *policy = &d->policies[mark.column];
        unsigned template = 0;
        if (mark.kind <= PK_MARK_TEXT)
            done = pk_deflate_value(d, &w, done, &mark, end, &template);
        if (mark.kind < PK_MARK_TEXT || stop - v < PK_LONG_TEXT)
            continue;
        policy->text += (uint32_t)(stop - v);
        if (policy->text_mode == PK_FOLLOW)
            pk_mark_delimiters(d, mark.start - 1, mark.end + 1);
        if (done + PK_LONG_TEXT <= stop)
            done = pk_deflate_text(d, &w, done, done > v ? done : v, stop - 8, end, policy, template);
    }
    pk_put_literals(d, &w, done, end);
    pk_put(&w, d->literals.bits[PK_END], d->literals.length[PK_END]);
    pk_spill(&w);
    *to = w;
}

/* Gives every symbol that may occur in this block a code, and what the block before did not have the longest. */
static void pk_expect(struct pk_deflate *d)
{
    int has_high = pk_any_high(d->lines + d->begin, d->end - d->begin);
    for (unsigned s = 0; s < PK_LITERAL_SYMBOLS; s++) {
        int may_occur = s >= 256 || d->has_plain || (s < 128 ? s >= ' ' || s == '\n' : has_high);
        if (may_occur && !d->literal_counts[s])
            d->literal_counts[s] = 1;
    }
    for (unsigned s = 0; s < PK_DISTANCE_SYMBOLS; s++)
        d->distance_counts[s] += !d->distance_counts[s];
}

/* How the long text of a column is best taken, by what it left to literals: in percent, of 1000 vendors' messages 23 or more,
 * of messages from templates 17 or less; random text, such as digests, all. The bounds to and from PK_THOROUGH differ, since
 * that leaves fewer. */
static uint8_t pk_best_text_mode(const struct pk_deflate *d, struct pk_policy *p)
{
    uint64_t literals = (uint64_t)p->literals * 100, text = p->text;
    if (p->rest_text && --p->rest_text)
        return p->text_mode;
    if (literals > text * 85) {
        p->rest_text = PK_REST_BLOCKS;
        return PK_LEAVE;
    }
    if (d->level == PK_FASTEST) {
        int has_failed = p->failures * 20 > p->steps * 9; /* over 45 % */
        p->rest_text = has_failed ? PK_REST_BLOCKS : 0;
        return has_failed ? PK_SCAN : PK_FOLLOW;
    }
    if (p->text_mode == PK_THOROUGH)
        return literals < text * 13 ? PK_SCAN : PK_THOROUGH;
    return literals > text * (d->is_first ? 25 : 21) ? PK_THOROUGH : PK_SCAN;
}

/* What paid in this block is done in the next. Whether something is to be done otherwise than in this. */
static int pk_adapt(struct pk_deflate *d)
{
    int has_changed = 0;
    for (struct pk_policy *p = d->policies; p < d->policies + PK_COLUMNS; p++) {
        uint8_t mode = p->text_mode, looks_up = p->looks_up;
        int is_rare = p->hits * 8 < p->lookups; /* under 1 in 8 */
        p->rest_values = (uint8_t)(p->rest_values ? p->rest_values - 1 : is_rare ? PK_REST_BLOCKS : 0);
        p->looks_up = !p->rest_values;
        p->text_mode = pk_best_text_mode(d, p);
        has_changed |= mode != p->text_mode || looks_up != p->looks_up;
        p->lookups = p->hits = p->steps = p->failures = p->text = p->literals = 0;
    }
    return has_changed;
}

/* Takes apart the begin of the segment's first block, for its counts and for how its columns are best taken; what that
 * writes is overwritten, what it saw is forgotten. Whether something is to be taken otherwise than it was. */
static int pk_sample(struct pk_deflate *d, struct pk_writer w, size_t size)
{
    pk_expect(d);
    pk_make_codes(d);
    pk_put_block(d, &w, d->begin + size);
    pk_forget(d);
    return pk_adapt(d);
}

/* Makes the codes of the block at hand. If a sample is all of the block, its counts are exact: a small segment needs no
 * codes for what does not occur. */
static void pk_prepare_codes(struct pk_deflate *d, struct pk_writer w)
{
    size_t size = d->end - d->begin, sample = size < PK_SAMPLE ? size : PK_SAMPLE;
    int is_exact = 0;
    if (d->is_first) {
        is_exact = !pk_sample(d, w, sample) || !pk_sample(d, w, sample);
        is_exact &= sample == size;
        d->is_first = 0;
    }
    if (!is_exact)
        pk_expect(d);
    pk_make_codes(d);
}

/* Makes the newest bytes the window of the next block; by whole words of delimiters. */
static void pk_move_window(struct pk_deflate *d)
{
    d->begin = d->end;
    d->n_marks = d->has_plain = 0;
    if (d->begin <= PK_BEFORE + PK_WINDOW + 64)
        return;
    /* By multiples of 64, so that the delimiters' bits can be moved as words. */
    size_t gone = (d->begin - PK_BEFORE - PK_WINDOW) & ~(size_t)63, kept = d->begin - gone - PK_BEFORE;
    memmove(d->lines + PK_BEFORE, d->lines + PK_BEFORE + gone, kept);
    memmove(d->delimiters + PK_BEFORE / 64, d->delimiters + (PK_BEFORE + gone) / 64, (kept + 63) / 64 * 8);
    d->shift = (uint16_t)(d->shift + gone);
    d->begin = d->end = d->begin - gone;
}

/* Writes the block at hand into at least PK_BLOCK_BOUND bytes. */
static uint8_t *pk_deflate_block(struct pk_deflate *d, uint8_t *out)
{
    struct pk_writer start = {out, d->bits, d->n_bits}, w = start;
    /* What wide loads see behind the text must not come from an earlier block, or equal lines could give other
     * bytes. */
    memset(d->lines + d->end, 0, PK_BEHIND);
    pk_prepare_codes(d, start);
    pk_put_block(d, &w, d->end);
    if ((size_t)(w.out - out) > d->end - d->begin) {
        w = start;
        /* A stored block has a length of 16 bits (RFC 1951 §3.2.4). */
        for (size_t at = d->begin; at < d->end; at += 65535)
            pk_put_stored(&w, d->lines + at, d->end - at < 65535 ? d->end - at : 65535);
    }
    /* The bits of the last byte, which the next block goes on with: blocks do not begin at bytes. */
    d->bits = w.bits;
    d->n_bits = w.n_bits;
    pk_adapt(d);
    pk_move_window(d);
    return w.out;
}

/* Ends the segment on a whole byte with an empty stored block. */
static uint8_t *pk_deflate_flush(struct pk_deflate *d, uint8_t *out)
{
    struct pk_writer w = {out, d->bits, d->n_bits};
    pk_put_stored(&w, d->lines, 0);
    return w.out;
}

#endif
