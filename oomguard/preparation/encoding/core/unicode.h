/* UTF-8, and the classes of characters. */
#ifndef OG_UNICODE_H
#define OG_UNICODE_H

#include "internal.h"
#pragma GCC visibility push(hidden)
#include "unicode_classes.h"
#pragma GCC visibility pop

/* The numbers of og_classes. r50k and cl100k take UPPER, LOWER and OTHER for letters and MARK for punctuation. */
enum character_class {
    PUNCT,  /* whatever is none of the others */
    UPPER,  /* \p{Lu} \p{Lt} */
    LOWER,  /* \p{Ll} */
    OTHER,  /* \p{Lm} \p{Lo} */
    MARK,   /* \p{M} */
    NUMBER, /* \p{N} */
    WHITE,  /* \s */
};

struct character {
    uint32_t code;
    unsigned size; /* in bytes; 0: ill-formed, or cut off */
};

INLINE bool continues(uint8_t byte) { return (byte & 0xC0) == 0x80; }

/* Decodes by Unicode's table 3-7; the bounds of the second byte keep out what is overlong, surrogate or too high. */
INLINE struct character decode(const uint8_t *p, uint64_t available)
{
    const struct character bad = {0, 0};
    uint8_t lead = p[0];
    if (lead < 0x80)
        return (struct character){lead, 1};
    if (lead < 0xE0) {
        if (lead < 0xC2 || available < 2 || !continues(p[1]))
            return bad;
        return (struct character){(lead & 0x1Fu) << 6 | (p[1] & 0x3Fu), 2};
    }
    if (lead < 0xF0) {
        if (available < 3 || !continues(p[1]) || !continues(p[2]))
            return bad;
        uint32_t code = (lead & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu);
        return code < 0x800 || (code >= 0xD800 && code < 0xE000) ? bad : (struct character){code, 3};
    }
    if (lead > 0xF4 || available < 4 || !continues(p[1]) || !continues(p[2]) || !continues(p[3]))
        return bad;
    uint32_t code = (lead & 7u) << 18 | (p[1] & 0x3Fu) << 12 | (p[2] & 0x3Fu) << 6 | (p[3] & 0x3Fu);
    return code < 0x10000 || code > 0x10FFFF ? bad : (struct character){code, 4};
}

INLINE enum character_class class_of(uint32_t code)
{
    if (code >= OG_CLASSIFIED_CODE_POINTS)
        return PUNCT;
    return (enum character_class)(og_classes[(unsigned)og_block_of[code >> 7] << 7 | (code & 127)] & 7);
}

/* The size of a contraction that begins with the apostrophe at p, or 0: 's 't 'm 'd 'll 've 're. With any_case also in
 * capitals, and with U+017F, which folds to s. */
INLINE unsigned contraction(const uint8_t *p, uint64_t available, bool any_case)
{
    if (available < 2)
        return 0;
    uint8_t fold = any_case ? 0x20 : 0, a = p[1] | fold, b;
    if (a == 's' || a == 't' || a == 'm' || a == 'd')
        return 2;
    if (available < 3)
        return 0;
    b = p[2] | fold;
    if ((a == 'l' && b == 'l') || (a == 'v' && b == 'e') || (a == 'r' && b == 'e'))
        return 3;
    return any_case && p[1] == 0xC5 && p[2] == 0xBF ? 3 : 0;
}

#endif
