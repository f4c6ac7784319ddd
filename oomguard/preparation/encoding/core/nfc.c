/* The quick check of NFC (Unicode Standard Annex 15, 9): where a text might not be NFC. Nearly all of a text is found to be,
 * at the speed of reading it; the rest is for a library that can normalize. */
#include "nfc_classes.h"
#include "unicode.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

INLINE uint8_t nfc_class(uint32_t code)
{
    if (code >= NFC_CODE_POINTS)
        return NFC_STOP;
    return (uint8_t)nfc_classes[(unsigned)nfc_block_of[code >> 7] << 7 | (code & 127)];
}

INLINE uint64_t skip_ascii(const uint8_t *text, uint64_t at, uint64_t size)
{
    while (size - at >= 8 && !(load64(text + at) & HIGH_BITS))
        at += 8;
    while (at < size && text[at] < 0x80)
        at++;
    return at;
}

/* ASCII joins nothing before it and nothing changes its place, so what lies between two of its characters is a matter of
 * its own: what is looked at again begins with one and ends before the next. */
int og_nfc_find(const uint8_t *text, uint64_t size, uint64_t from, uint64_t *begin, uint64_t *end)
{
    for (uint64_t at = skip_ascii(text, from, size); at < size; at = skip_ascii(text, at, size)) {
        uint8_t last = NFC_STARTER;
        bool stops = false;
        *begin = at > from ? at - 1 : at;
        while (at < size && text[at] >= 0x80 && !stops) {
            struct character c = decode(text + at, size - at);
            uint8_t now = c.size ? nfc_class(c.code) : NFC_STOP;
            stops = now == NFC_STOP || (now != NFC_STARTER && now < last);
            last = now;
            at += stops ? 0 : c.size;
        }
        if (stops) {
            while (at < size && text[at] >= 0x80)
                at++;
            *end = at;
            return 1;
        }
    }
    return 0;
}
