/* What JSON Lines need beside a parser: whether objects and lines are the same, line feeds, and what strings say.
 *
 * A library parses; it gives strings as they are written, between quotes. Whatever is unusual is refused here, and told by
 * Python's json what it is. */
#include "internal.h"

uint64_t og_json_lines(const uint8_t *text, uint64_t size)
{
    uint64_t lines = 0;
    for (uint64_t at = 0; at < size; lines++) {
        const uint8_t *feed = memchr(text + at, '\n', size - at);
        uint64_t next = feed ? (uint64_t)(feed - text) + 1 : size, end = feed ? next - 1 : size;
        if (end > at && text[end - 1] == '\r')
            end--;
        if (end - at < 2 || text[at] != '{' || text[end - 1] != '}')
            return 0;
        at = next;
    }
    return lines;
}

uint64_t og_line_feeds(const uint8_t *text, uint64_t size)
{
    uint64_t feeds = 0;
    for (uint64_t at = 0; at < size;) {
        uint8_t found = 0; /* in no more bytes than it can count, so that a vector of bytes does */
        for (uint64_t end = size - at < 255 ? size : at + 255; at < end; at++)
            found = (uint8_t)(found + (text[at] == '\n'));
        feeds += found;
    }
    return feeds;
}

/* The first of eight bytes that is a quote, a backslash or a control character, as its highest bit; the bits above it may be
 * anything. A byte below n is the only one from which subtracting n borrows, below the first of them. */
INLINE uint64_t first_special(uint64_t bytes)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t quote = bytes ^ ones * '"', backslash = bytes ^ ones * '\\';
    uint64_t special = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) | ((bytes - ones * 0x20) & ~bytes);
    return special & ones << 7;
}

/* What a backslash and this letter stand for; 0: nothing. */
INLINE uint8_t escaped(uint8_t letter)
{
    switch (letter) {
    case '"': case '\\': case '/': return letter;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
    }
}

/* The number in "\uXXXX" at the start of `size` bytes; NOTHING if that is not what they begin with. */
enum { NOTHING = 0x110000, ESCAPE = 6 };
static uint32_t escaped_unit(const uint8_t *json, uint64_t size)
{
    uint32_t unit = 0;
    if (size < ESCAPE || json[0] != '\\' || json[1] != 'u')
        return NOTHING;
    for (unsigned i = 2; i < ESCAPE; i++) {
        uint32_t digit = json[i] - (uint32_t)'0', letter = (json[i] | 0x20u) - 'a';
        if (digit > 9 && letter > 5)
            return NOTHING;
        unit = unit << 4 | (digit > 9 ? letter + 10 : digit);
    }
    return unit;
}

/* Writes the character of one such escape, or of a pair of surrogates, and moves both places behind it; false for what is none. */
static bool write_character(const uint8_t *json, uint64_t size, uint64_t *in, uint8_t *text, uint64_t *out)
{
    uint32_t code = escaped_unit(json + *in, size - *in), low;
    uint8_t *to = text + *out;
    if (code == NOTHING)
        return false;
    *in += ESCAPE;
    if (code < 0x80) {
        *out += 1, to[0] = (uint8_t)code;
    } else if (code < 0x800) {
        *out += 2, to[0] = (uint8_t)(0xC0 | code >> 6), to[1] = (uint8_t)(0x80 | (code & 0x3F));
    } else if (code < 0xD800 || code > 0xDFFF) {
        *out += 3, to[0] = (uint8_t)(0xE0 | code >> 12), to[1] = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        to[2] = (uint8_t)(0x80 | (code & 0x3F));
    } else {
        low = escaped_unit(json + *in, size - *in);
        if (code > 0xDBFF || low < 0xDC00 || low > 0xDFFF)
            return false;
        *in += ESCAPE;
        code = 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF));
        *out += 4, to[0] = (uint8_t)(0xF0 | code >> 18), to[1] = (uint8_t)(0x80 | (code >> 12 & 0x3F));
        to[2] = (uint8_t)(0x80 | (code >> 6 & 0x3F)), to[3] = (uint8_t)(0x80 | (code & 0x3F));
    }
    return true;
}

/* Reads the string whose first character is at *in and writes what it says; *in is then behind its closing quote.
 * No character is longer than what it is written as, so `*out` is never beyond `*in`: that bounds what is written. */
static bool read_string(const uint8_t *json, uint64_t size, uint64_t *in, uint8_t *text, uint64_t *out)
{
    for (;;) {
        uint64_t special = 0;
        while (!special && size - *in >= 8) {
            uint64_t bytes = load64(json + *in);
            memcpy(text + *out, &bytes, 8);
            special = first_special(bytes);
            unsigned plain = special ? lowest(special) / 8 : 8;
            *in += plain, *out += plain;
        }
        if (*in == size)
            return false;
        uint8_t byte = json[*in];
        if (byte == '"')
            return ++*in, true;
        if (byte < 0x20)
            return false;
        if (byte != '\\') { /* of the last seven */
            text[(*out)++] = byte, ++*in;
        } else if (size - *in >= 2 && escaped(json[*in + 1])) {
            text[(*out)++] = escaped(json[*in + 1]), *in += 2;
        } else if (!write_character(json, size, in, text, out)) {
            return false;
        }
    }
}

int og_json_strings(const uint8_t *json, uint64_t size, uint8_t *text, uint64_t room, int64_t *offsets, uint64_t count)
{
    uint64_t in = 0, out = 0;
    if (room < size)
        return 0;
    offsets[0] = 0;
    for (uint64_t i = 1; i <= count; i++) {
        if (in == size || json[in++] != '"' || !read_string(json, size, &in, text, &out))
            return 0;
        offsets[i] = (int64_t)out;
    }
    return in == size;
}
