/* Where pretokens begin in o200k, and with its switches in Tekken:
 * [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
 * |[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
 * |\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
 *
 * A word is capitals and then small letters; letters without case and marks ("either") are of both. */
#include "scan.h"

struct words {
    uint64_t word, upper, lower, either;
    uint64_t small; /* lower, and either after it */
};

/* Where a word ends and another begins without anything between them. */
static inline uint64_t word_breaks(struct words *w, const struct block *b, const struct carry *carry, uint64_t *settled)
{
    /* After small letters: the characters without case that follow them are part of that stretch. */
    uint64_t after_lower = w->lower << 1 | carry->lower;
    w->small = w->lower;
    if (w->either)
        w->small |= w->either & ~(w->either + (w->either & ~(w->either << 1) & after_lower));
    uint64_t breaks = w->upper & (w->small << 1 | carry->lower);
    if (LIKELY(!(w->either | carry->other)))
        return breaks;

    /* Capitals after characters without case, no small letter before those: with a small letter or one without case after
     * the capitals all is one word; else it ends before them (the first alternative of the pattern backtracks). */
    uint64_t doubtful = w->upper & ((w->either & ~w->small) << 1 | carry->other);
    for (; doubtful; doubtful &= doubtful - 1) {
        unsigned at = lowest(doubtful);
        uint64_t rest = ~w->upper & ~below(at);
        unsigned end = rest ? lowest(rest) : 64;
        if (end >= b->size && !b->at_end) {
            *settled = at < *settled ? at : *settled;
            break;
        }
        if (end >= b->size || !((w->lower | w->either) >> (end & 63) & 1))
            breaks |= UINT64_C(1) << at;
    }
    return breaks;
}

/* Marks after two characters of punctuation, or after a space and one, are punctuation as well. */
static inline uint64_t marks_of_punct(uint64_t punct, uint64_t mark, uint64_t space, uint64_t inside, const struct carry *carry)
{
    uint64_t all = punct, wrong;
    for (;;) {
        uint64_t start = all & ~(all << 1 | carry->punct) & ~(space << 1);
        wrong = mark & ~all & (all << 1 | carry->punct) & ~(to_last(start, inside) << 1 | carry->punct_start);
        if (!wrong)
            return all & ~punct;
        wrong = UINT64_C(1) << lowest(wrong);
        all |= mark & ~(mark + wrong) & ~below(lowest(wrong));
    }
}

/* Line ends right after punctuation, and slashes and line ends after those. */
static inline uint64_t absorbed_by_punct(uint64_t newline, uint64_t slash, uint64_t after_punct)
{
    uint64_t first = newline & after_punct;
    if (LIKELY(!(slash & newline << 1)))
        return newline & ~(newline + first);
    uint64_t absorbed = 0, both = newline | slash;
    while (first) {
        uint64_t one = first & -first;
        absorbed |= both & ~(both + one) & ~(one - 1);
        first &= ~absorbed;
    }
    return absorbed;
}

static uint64_t family_starts(const struct splitter *splitter, struct masks *m, struct block *b, struct carry *carry)
{
    uint64_t valid = below(b->size), settled;
    uint64_t letter = m->letter & valid, number = m->number & valid, white = m->white & valid, mark = m->mark & valid;
    uint64_t newline = m->newline & valid, blank = white & ~newline, space = m->space & valid, slash = m->slash & valid;
    uint64_t punct = valid & ~(letter | number | white | mark);
    bool single = splitter->switches & OG_SINGLE_DIGITS;

    if (UNLIKELY(mark)) {
        if (slash & newline << 1) { /* both of the rare cases at once: character by character */
            b->settled = 0;
            return 0;
        }
        uint64_t turned = marks_of_punct(punct, mark, space, m->inside, carry);
        punct |= turned;
        mark &= ~turned;
    }
    uint64_t absorbed = absorbed_by_punct(newline, slash, punct << 1 | carry->punct);
    punct &= ~absorbed; /* a slash after a line end is no punctuation any more */

    uint64_t punct_start = punct & ~(punct << 1 | carry->punct) & ~(space << 1);
    uint64_t punct_start_end = m->inside ? to_last(punct_start, m->inside) : punct_start;
    struct words w = {.word = letter | mark, .upper = m->upper & valid, .either = (m->other & valid) | mark};
    w.lower = letter & ~(w.upper | w.either);
    uint64_t after_word = w.word << 1 | carry->letter;
    uint64_t taken = blank << 1 | punct_start_end << 1 | carry->punct_start;

    uint64_t runs = white & ~absorbed;
    settled = settled_bytes(b, runs, absorbed, single ? 0 : number);
    uint64_t starts = punct_start | (w.word & ~after_word & ~taken) | word_breaks(&w, b, carry, &settled);
    starts |= white_starts(m, b, runs, b->at_end ? white | ~valid : white, newline);
    starts |= number_starts(m, number, single);

    /* A contraction belongs to the word before it, and what follows it begins anew, be it another apostrophe. */
    uint64_t left = splitter->switches & OG_NO_CONTRACTIONS ? 0 : m->apostrophe & punct_start & after_word;
    bool anew = false;
    while (left) {
        unsigned at = lowest(left), size;
        left &= left - 1;
        if (!b->at_end && at + 4 > b->size) {
            settled = at < settled ? at : settled;
            anew = false;
            break;
        }
        size = contraction(b->text + at, b->size - at, true);
        if (!size)
            continue;
        unsigned end = at + size;
        starts &= ~(below(end) & ~below(at));
        if (end >= 64)
            continue;
        starts |= UINT64_C(1) << end;
        left &= ~(UINT64_C(1) << end);
        if ((w.either >> end & 1) && end < settled) { /* its letters are not before a small one: begin a block here */
            settled = end;
            anew = true;
            break;
        }
    }
    b->settled = (unsigned)settled;
    carry->letter = before(w.word, b->settled);
    carry->punct = before(punct, b->settled);
    carry->punct_start = before(punct_start_end, b->settled);
    carry->lower = before(w.small, b->settled);
    carry->other = before(w.either & ~w.small, b->settled);
    if (anew)
        *carry = (struct carry){0};
    return starts;
}

enum scan_stop TIERED(og_scan_o200k)(const struct splitter *splitter, struct scan *scan, uint32_t *starts, unsigned *count);
enum scan_stop TIERED(og_scan_o200k)(const struct splitter *splitter, struct scan *scan, uint32_t *starts, unsigned *count)
{
    return scan_text(splitter, scan, starts, count);
}
