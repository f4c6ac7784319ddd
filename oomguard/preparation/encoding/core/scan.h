/* What the scans of the three families share: blocks of 64 bytes in, the places where pretokens begin out.
 *
 * A family's file defines family_starts(), which turns the masks of a block into start bits, and includes this. */
#ifndef OG_SCAN_H
#define OG_SCAN_H

#include "classify.h"
#include "unicode.h"

/* A block on its way. Bits from `size` on mean nothing but in `white`, where they are the end of the text. */
struct block {
    const uint8_t *text;
    unsigned size;    /* bytes, at most 64 */
    bool at_end;      /* the document ends with the block */
    unsigned settled; /* out: bytes whose start bits are known; the next block begins there */
};

/* Sets the classes of the characters beyond ASCII on all of their bytes, so that the algebra of families holds for them
 * unchanged; this is the check of UTF-8 as well, which is free for ASCII. A character that is ill-formed or sticks out
 * ends the block before it. */
static inline void decode_high(struct masks *m, struct block *b)
{
    uint64_t of_class[8] = {0}, high = m->high & below(b->size);
    while (high) {
        unsigned at = lowest(high);
        struct character c = decode(b->text + at, b->size - at);
        if (UNLIKELY(c.size == 0)) {
            b->size = at;
            b->at_end = false;
            break;
        }
        uint64_t bits = below(c.size) << at;
        of_class[class_of(c.code)] |= bits;
        m->inside |= bits & (bits - 1);
        high &= ~bits;
    }
    m->letter |= of_class[UPPER] | of_class[LOWER] | of_class[OTHER];
    m->upper |= of_class[UPPER];
    m->other = of_class[OTHER];
    m->mark = of_class[MARK];
    m->number |= of_class[NUMBER];
    m->white |= of_class[WHITE];
}

/* Moves bits from the last byte of characters to their first, and from the first to the last. */
INLINE uint64_t to_first(uint64_t bits, uint64_t inside)
{
    for (int i = 0; i < 3; i++)
        bits = (bits & ~inside) | (bits & inside) >> 1;
    return bits;
}
INLINE uint64_t to_last(uint64_t bits, uint64_t inside)
{
    for (int i = 0; i < 3; i++)
        bits |= bits << 1 & inside;
    return bits & ~(inside >> 1);
}

INLINE uint64_t before(uint64_t bits, unsigned place) { return place ? bits >> (place - 1) & 1 : 0; }

/* Where the run of ones begins that ends with bit size - 1; size where that bit is clear. */
INLINE unsigned trailing_run(uint64_t bits, unsigned size)
{
    uint64_t gap = ~bits & below(size);
    return gap ? highest(gap) + 1 : 0;
}

/* cl100k, o200k: the runs of white space without the line ends that punctuation has taken (`runs`): each run begins a
 * pretoken, up to its last line end; then what is left but its last character; then that one. */
INLINE uint64_t white_starts(const struct masks *m, const struct block *b, uint64_t runs, uint64_t white, uint64_t newline)
{
    uint64_t blank = white & ~newline;
    uint64_t starts = runs & ~(runs << 1);
    uint64_t last = to_first(blank & ~(white >> 1 | UINT64_C(1) << 63) & below(b->size), m->inside);
    uint64_t after_newline = blank & (newline & runs) << 1;
    if (after_newline) {
        /* Not where another line end follows the blanks: they are in the middle of the pretoken then. */
        uint64_t ends = (blank + after_newline) & ~blank & newline;
        for (; ends; ends &= ends - 1)
            after_newline &= ~(UINT64_C(1) << highest(after_newline & below(lowest(ends))));
    }
    return starts | last | after_newline;
}

/* cl100k, o200k: digits in threes, or one by one. */
INLINE uint64_t number_starts(const struct masks *m, uint64_t number, bool single)
{
    uint64_t first = number & ~(number << 1);
    if (single)
        return number & ~m->inside;
    if (LIKELY(!(number & number << 1 & number << 2 & number << 3)))
        return first;
    uint64_t starts = 0;
    unsigned n = 0;
    for (uint64_t rest = number & ~m->inside; rest; rest &= rest - 1) {
        unsigned at = lowest(rest);
        bool begins = first >> at & 1;
        n = begins ? 0 : n + 1;
        starts |= (uint64_t)(n % 3 == 0) << at;
    }
    return starts;
}

/* cl100k, o200k: so far start bits are known. A run of white space that reaches the end of the block is seen whole by the
 * next one, and so are digits in threes and line ends after punctuation: none of them is carried over. */
INLINE uint64_t settled_bytes(const struct block *b, uint64_t runs, uint64_t absorbed, uint64_t number)
{
    if (b->at_end)
        return b->size;
    unsigned whole = trailing_run(runs, b->size), taken = trailing_run(absorbed, b->size), digits = trailing_run(number, b->size);
    return whole < taken ? (whole < digits ? whole : digits) : taken < digits ? taken : digits;
}

static uint64_t family_starts(const struct splitter *, struct masks *, struct block *, struct carry *);

/* Writes the places of the bits, 12 without asking, because most blocks have no more. */
INLINE unsigned write_places(uint64_t bits, uint32_t base, uint32_t *starts)
{
    unsigned count = count_bits(bits);
    for (unsigned i = 0; i < 12; i++) {
        starts[i] = base + lowest_or_any(bits);
        bits &= bits - 1;
    }
    if (UNLIKELY(count > 12))
        for (unsigned i = 12; bits; i++, bits &= bits - 1)
            starts[i] = base + lowest(bits);
    return count;
}

/* Appends starts of pretokens until there are BATCH of them or the text is used up. The end of each is the next one's
 * start; that of the last is not known yet, and at the end of the text the last is the end itself. */
static enum scan_stop scan_text(const struct splitter *splitter, struct scan *scan, uint32_t *starts, unsigned *start_count)
{
    unsigned count = *start_count;
    enum scan_stop stop = SCAN_BATCH;
    while (count < BATCH) {
        uint64_t left = scan->end - scan->base;
        if (left == 0) {
            stop = scan->last ? SCAN_END : SCAN_MORE;
            break;
        }
        uint8_t padded[BLOCK];
        struct block b = {scan->text + scan->base, left < BLOCK ? (unsigned)left : BLOCK, scan->last && left <= BLOCK, 0};
        if (UNLIKELY(scan->base + BLOCK > scan->readable)) {
            memset(padded, 0, BLOCK);
            memcpy(padded, b.text, b.size);
            b.text = padded;
        }
        struct masks m;
        classify(b.text, &m);
        if (m.high & below(b.size))
            decode_high(&m, &b);
        uint64_t bits = b.size ? family_starts(splitter, &m, &b, &scan->carry) : 0;
        if (UNLIKELY(b.settled == 0)) {
            /* Nothing is known of the first character: look again from the last start on, character by character. */
            uint64_t start = scan->fresh ? scan->base : starts[--count], end;
            stop = og_pretoken_end(splitter, scan, start, &end, &scan->error_at);
            starts[count++] = (uint32_t)start;
            scan->fresh = stop == SCAN_BATCH;
            if (!scan->fresh)
                break;
            scan->base = end;
            scan->carry = (struct carry){0};
            continue;
        }
        count += write_places(bits & below(b.settled), (uint32_t)scan->base, starts + count);
        scan->base += b.settled;
        scan->fresh = false;
    }
    if (stop == SCAN_END || (stop == SCAN_MORE && scan->fresh))
        starts[count++] = (uint32_t)scan->base;
    *start_count = count;
    return stop;
}

#endif
