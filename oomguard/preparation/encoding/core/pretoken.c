/* The three patterns, character by character: where the pretoken ends that begins at a place.
 *
 * This is the plain reading of the regular expressions (docs/tokenizers.md). The scans of 64 bytes at a time must give the
 * same ends; they come here for what is rare: words that fill a block, the edge of a window, ill-formed text.
 * No pattern looks behind, so an end depends only on what follows. */
#define OG_UNICODE_TABLES
#include "unicode.h"

/* What is found at a place: a class of character, or why there is none. */
enum { NEWLINE = WHITE + 1, TEXT_END, MORE, BAD }; /* NEWLINE: CR or LF; MORE: not known before there is more text */

struct reader {
    const uint8_t *text;
    uint64_t end;
    bool last;
};

struct seen {
    unsigned what, size;
};

static struct seen look(const struct reader *r, uint64_t at)
{
    if (at >= r->end)
        return (struct seen){r->last ? TEXT_END : MORE, 0};
    uint64_t left = r->end - at;
    struct character c = decode(r->text + at, left);
    if (c.size == 0)
        return (struct seen){left < 4 && !r->last ? MORE : BAD, 0};
    if (c.code == '\r' || c.code == '\n')
        return (struct seen){NEWLINE, 1};
    return (struct seen){class_of(c.code), c.size};
}

INLINE bool is_letter(unsigned what) { return what == UPPER || what == LOWER || what == OTHER; }
INLINE bool is_white(unsigned what) { return what == WHITE || what == NEWLINE; }
INLINE bool is_punct(unsigned what) { return what == PUNCT || what == MARK; } /* [^\s\p{L}\p{N}] */
INLINE bool is_edge(unsigned what) { return what >= MORE; }
INLINE unsigned bit(unsigned what) { return 1u << what; }

enum {
    LETTERS = 1 << UPPER | 1 << LOWER | 1 << OTHER,
    PUNCTS = 1 << PUNCT | 1 << MARK,
    WHITES = 1 << WHITE | 1 << NEWLINE,
    UPPERS = 1 << UPPER | 1 << OTHER | 1 << MARK, /* o200k: [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] */
    LOWERS = 1 << LOWER | 1 << OTHER | 1 << MARK, /* o200k: [\p{Ll}\p{Lm}\p{Lo}\p{M}] */
};

/* Goes over characters of these classes; *stopped tells what comes after them. */
static uint64_t run(const struct reader *r, uint64_t at, unsigned classes, unsigned *stopped)
{
    struct seen s;
    while (bit((s = look(r, at)).what) & classes)
        at += s.size;
    *stopped = s.what;
    return at;
}

static uint64_t digits(const struct reader *r, uint64_t at, unsigned most, unsigned *stopped)
{
    struct seen s = {NUMBER, 0};
    for (unsigned n = 0; n < most && (s = look(r, at)).what == NUMBER; n++)
        at += s.size;
    *stopped = s.what;
    return at;
}

/* Whether a contraction begins with the apostrophe here; *stopped is MORE where the text ends too early to know. */
static unsigned contraction_at(const struct reader *r, uint64_t at, bool any_case, unsigned *stopped)
{
    if (r->end - at < 3 && !r->last) {
        *stopped = MORE;
        return 0;
    }
    return contraction(r->text + at, r->end - at, any_case);
}

/* White space from `at`. line_ends: up to the last CR or LF if there is one (\s*[\r\n]). white_end: all of it at the end
 * of the text (\s++$). Else all but the last character before another one (\s+(?!\S)), or the only one (\s). */
static uint64_t white(const struct reader *r, uint64_t at, bool line_ends, bool white_end, unsigned *stopped)
{
    uint64_t start = at, before_last = at, after_newline = 0;
    struct seen s;
    while (is_white((s = look(r, at)).what)) {
        before_last = at;
        at += s.size;
        if (s.what == NEWLINE)
            after_newline = at;
    }
    *stopped = s.what;
    if (s.what == TEXT_END && white_end)
        return at;
    if (line_ends && after_newline)
        return after_newline;
    if (s.what == TEXT_END || before_last == start)
        return at;
    return before_last;
}

/* '(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s */
static uint64_t end_r50k(const struct reader *r, uint64_t at, unsigned *stopped)
{
    if (r->text[at] == '\'') {
        unsigned size = contraction_at(r, at, false, stopped);
        if (size || is_edge(*stopped))
            return at + size;
    }
    uint64_t body = at + (r->text[at] == ' ');
    unsigned what = look(r, body).what;
    if (is_letter(what))
        return run(r, body, LETTERS, stopped);
    if (what == NUMBER)
        return run(r, body, bit(NUMBER), stopped);
    if (is_punct(what))
        return run(r, body, PUNCTS, stopped);
    return white(r, at, false, true, stopped);
}

/* What cl100k and o200k have in common: numbers, punctuation and white space. */
static uint64_t end_of_others(const struct reader *r, uint64_t at, unsigned switches, bool slashes, unsigned *stopped)
{
    if (look(r, at).what == NUMBER)
        return digits(r, at, switches & OG_SINGLE_DIGITS ? 1 : 3, stopped);
    uint64_t body = at + (r->text[at] == ' ');
    if (!is_punct(look(r, body).what))
        return white(r, at, true, switches & OG_WHITE_END, stopped);
    at = run(r, body, switches & OG_MARKS_IN_WORDS ? bit(PUNCT) : PUNCTS, stopped);
    for (;;) { /* [\r\n]*, o200k: [\r\n/]* */
        at = run(r, at, bit(NEWLINE), stopped);
        if (!slashes || *stopped != PUNCT || r->text[at] != '/')
            return at;
        at++;
    }
}

/* '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s */
static uint64_t end_cl100k(const struct reader *r, uint64_t at, unsigned switches, unsigned *stopped)
{
    if (r->text[at] == '\'') {
        unsigned size = contraction_at(r, at, true, stopped);
        if (size || is_edge(*stopped))
            return at + size;
    }
    unsigned words = switches & OG_MARKS_IN_WORDS ? LETTERS | bit(MARK) : LETTERS;
    struct seen first = look(r, at);
    uint64_t body = is_punct(first.what) || first.what == WHITE ? at + first.size : at;
    if (bit(first.what) & words)
        return run(r, at, words, stopped);
    unsigned what = look(r, body).what;
    if (bit(what) & words)
        return run(r, body, words, stopped);
    if (is_edge(what)) { /* a letter may follow */
        *stopped = what;
        return at;
    }
    return end_of_others(r, at, switches, false, stopped);
}

/* The letters of o200k from `at`: [upper]*[lower]+ or else [upper]+[lower]*, where OTHER and MARK are of both sets. The
 * first backtracks: capitals at the end, with no small letter after them, are left to the next pretoken if there was a
 * letter of both sets before them. Gives `at` where no word begins. */
static uint64_t end_of_word(const struct reader *r, uint64_t at, unsigned *stopped)
{
    uint64_t start = at, both_end = 0;
    struct seen s;
    while (bit((s = look(r, at)).what) & UPPERS) {
        at += s.size;
        if (s.what != UPPER)
            both_end = at;
    }
    *stopped = s.what;
    if (s.what == LOWER)
        return run(r, at, LOWERS, stopped);
    if (at > start && both_end && !is_edge(s.what)) {
        *stopped = look(r, both_end).what;
        return both_end;
    }
    return at;
}

static uint64_t end_o200k(const struct reader *r, uint64_t at, unsigned switches, unsigned *stopped)
{
    struct seen first = look(r, at);
    uint64_t body = at, end;
    if (first.what == PUNCT || first.what == WHITE)
        body += first.size; /* a mark, too, may stand before a word, but is one itself: the same end */
    end = end_of_word(r, body, stopped);
    if (is_edge(*stopped))
        return at;
    if (end == body)
        return end_of_others(r, at, switches, true, stopped);
    if (!(switches & OG_NO_CONTRACTIONS) && end < r->end && r->text[end] == '\'')
        end += contraction_at(r, end, true, stopped);
    return end;
}

enum scan_stop og_pretoken_end(const struct splitter *splitter, const struct scan *scan, uint64_t start, uint64_t *end,
                               uint64_t *error_at)
{
    struct reader r = {scan->text, scan->end, scan->last};
    unsigned stopped = look(&r, start).what;
    uint64_t at = start;
    if (!is_edge(stopped)) {
        if (splitter->family == OG_R50K)
            at = end_r50k(&r, start, &stopped);
        else if (splitter->family == OG_CL100K)
            at = end_cl100k(&r, start, splitter->switches, &stopped);
        else
            at = end_o200k(&r, start, splitter->switches, &stopped);
    }
    if (stopped == MORE)
        return SCAN_MORE;
    if (stopped == BAD) { /* the first place from `start` on that cannot be decoded */
        for (at = start; !is_edge(look(&r, at).what);)
            at += look(&r, at).size;
        *error_at = at;
        return SCAN_BAD;
    }
    *end = at;
    return SCAN_BATCH;
}
