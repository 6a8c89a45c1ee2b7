/* The deflater alone: standard input is how many marks, the marks, and the lines; standard output one segment. */
#include <stdio.h>

#include "deflate/deflate.h"

int main(int argc, char **argv)
{
    enum { MOST = 8 << 20 };
    uint32_t n_marks;
    struct pk_mark *marks = malloc(MOST);
    uint8_t *lines = malloc(MOST), *out = malloc(2 * MOST + PK_BLOCK_BOUND), *o = out;
    if (argc != 2 || fread(&n_marks, 4, 1, stdin) != 1 || fread(marks, sizeof *marks, n_marks, stdin) != n_marks)
        return 1;
    size_t size = fread(lines, 1, MOST, stdin);
    const struct pk_mark *next = marks, *last = marks + n_marks;
    struct pk_deflate *d = pk_deflate_new();
    pk_deflate_init();
    pk_deflate_begin(d, argv[1][0] == '1' ? PK_FASTEST : PK_FAST);
    for (size_t at = 0; at < size;) {
        at += pk_deflate_take(d, lines + at, size - at, at, &next, last);
        if (pk_is_full(d))
            o = pk_deflate_block(d, o);
    }
    if (d->end > d->begin)
        o = pk_deflate_block(d, o);
    o = pk_deflate_flush(d, o);
    fwrite(out, 1, (size_t)(o - out), stdout);
    free(d);
    free(marks);
    free(lines);
    free(out);
    return 0;
}
