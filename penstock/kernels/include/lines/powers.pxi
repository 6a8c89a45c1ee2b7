# Fills pk_powers of lines/number.h. Each kernel that includes that header has a table of its own.

cdef _fill_powers():
    """128-bit powers of ten, rounded up: exact integers at import instead of a page of constants."""
    mask = (1 << 64) - 1
    for k in range(PK_POWER_FIRST, PK_POWER_LAST + 1):
        power = 10 ** abs(k)
        bits = power.bit_length()
        if k < 0:
            g = -(-(1 << (127 + bits)) // power)
        elif bits <= 128:
            g = power << (128 - bits)
        else:
            g = -(-power >> (bits - 128))
        pk_powers[k - PK_POWER_FIRST][0] = <uint64_t>(g >> 64)
        pk_powers[k - PK_POWER_FIRST][1] = <uint64_t>(g & mask)
