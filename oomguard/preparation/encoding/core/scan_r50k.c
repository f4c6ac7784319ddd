/* Where pretokens begin in r50k (GPT-2):
 * '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s */
#include "scan.h"

static uint64_t family_starts(const struct splitter *splitter, struct masks *m, struct block *b, struct carry *carry)
{
    uint64_t valid = below(b->size);
    uint64_t letter = m->letter & valid, number = m->number & valid, white = m->white & valid;
    uint64_t punct = valid & ~(letter | number | white), space = m->space & valid;
    (void)splitter;

    /* A run begins where its class changes, unless a space goes before it. White space begins a run, and its last character
     * before something else begins one more; beyond the end of the text all is white, so there it does not. */
    uint64_t padded = b->at_end ? white | ~valid : white;
    uint64_t same = (letter & (letter << 1 | carry->letter)) | (number & (number << 1 | carry->number)) |
                    (punct & (punct << 1 | carry->punct));
    uint64_t last_white = white & ~(padded >> 1 | UINT64_C(1) << 63);
    if (m->inside)
        last_white = to_first(last_white, m->inside);
    uint64_t starts = (valid & ~white & ~same & ~(space << 1 | carry->space)) |
                      (white & ~(white << 1 | carry->white)) | last_white;

    /* What the last character begins is known when the next one is. */
    unsigned settled = b->size;
    if (!b->at_end)
        settled = m->inside ? highest(valid & ~m->inside) : b->size - 1;

    for (uint64_t left = m->apostrophe & starts & valid; left; left &= left - 1) {
        unsigned at = lowest(left), size;
        if (!b->at_end && at + 4 > b->size) {
            settled = at < settled ? at : settled;
            break;
        }
        size = contraction(b->text + at, b->size - at, false);
        if (!size)
            continue;
        if (!b->at_end && at + size >= settled) {
            settled = at < settled ? at : settled;
            break;
        }
        starts &= ~(UINT64_C(2) << at);
        starts |= at + size < 64 ? UINT64_C(1) << (at + size) : 0;
    }
    b->settled = settled;
    carry->letter = before(letter, settled);
    carry->number = before(number, settled);
    carry->punct = before(punct, settled);
    carry->white = before(white, settled);
    carry->space = before(space, settled);
    return starts;
}

enum scan_stop TIERED(og_scan_r50k)(const struct splitter *splitter, struct scan *scan, uint32_t *starts, unsigned *count);
enum scan_stop TIERED(og_scan_r50k)(const struct splitter *splitter, struct scan *scan, uint32_t *starts, unsigned *count)
{
    return scan_text(splitter, scan, starts, count);
}
