/* Where pretokens begin in cl100k, and with its switches in Llama 3, Qwen 2, 2.5, 3 and 3.5:
 * '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s */
#include "scan.h"

static uint64_t family_starts(const struct splitter *splitter, struct masks *m, struct block *b, struct carry *carry)
{
    uint64_t valid = below(b->size);
    uint64_t letter = m->letter & valid, number = m->number & valid, white = m->white & valid;
    if (splitter->switches & OG_MARKS_IN_WORDS)
        letter |= m->mark & valid;
    uint64_t newline = m->newline & valid, blank = white & ~newline, space = m->space & valid;
    uint64_t punct = valid & ~(letter | number | white);
    bool single = splitter->switches & OG_SINGLE_DIGITS;

    /* Punctuation: a run begins where its class does, unless a space goes before it. (A block never begins after white
     * space: see settled_bytes.) */
    uint64_t after_punct = punct << 1 | carry->punct;
    uint64_t punct_start = punct & ~after_punct & ~(space << 1);
    uint64_t punct_start_end = m->inside ? to_last(punct_start, m->inside) : punct_start;

    /* A word takes one character before it: a blank, or punctuation that begins a pretoken. */
    uint64_t taken = blank << 1 | punct_start_end << 1 | carry->punct_start;
    uint64_t starts = punct_start | (letter & ~(letter << 1 | carry->letter) & ~taken);

    /* Line ends right after punctuation belong to it. */
    uint64_t absorbed = newline & ~(newline + (newline & after_punct));
    uint64_t runs = white & ~absorbed;
    starts |= white_starts(m, b, runs, b->at_end ? white | ~valid : white, newline);
    starts |= number_starts(m, number, single);

    uint64_t settled = settled_bytes(b, runs, absorbed, single ? 0 : number);
    if (b->at_end && splitter->switches & OG_WHITE_END && runs >> (b->size - 1) & 1)
        starts &= below(trailing_run(runs, b->size) + 1); /* all of it is one pretoken */

    for (uint64_t left = m->apostrophe & punct_start; left; left &= left - 1) {
        unsigned at = lowest(left), size;
        if (!b->at_end && at + 4 > b->size) {
            settled = at < settled ? at : settled;
            break;
        }
        size = contraction(b->text + at, b->size - at, true);
        if (size && at + size < 64)
            starts |= UINT64_C(1) << (at + size);
    }
    b->settled = (unsigned)settled;
    carry->letter = before(letter, b->settled);
    carry->punct = before(punct, b->settled);
    carry->punct_start = before(punct_start_end, b->settled);
    return starts;
}

enum scan_stop TIERED(og_scan_cl100k)(const struct splitter *splitter, struct scan *scan, uint32_t *starts, unsigned *count);
enum scan_stop TIERED(og_scan_cl100k)(const struct splitter *splitter, struct scan *scan, uint32_t *starts, unsigned *count)
{
    return scan_text(splitter, scan, starts, count);
}
