/* From 64 bytes to one bit a byte for each class: the only step that is written for each kind of processor.
 *
 * The plain C below is the specification; each other version gives the same masks. Measured share of the whole, English,
 * r50k: see README.md. */
#ifndef OG_CLASSIFY_H
#define OG_CLASSIFY_H

#include "internal.h"

/* Of ASCII; bytes from 0x80 on are in `high` alone until decode_high (scan.h) has looked at them. */
struct masks {
    uint64_t letter, number, white; /* white: also line ends */
    uint64_t space, newline;        /* U+0020; CR and LF */
    uint64_t apostrophe, slash, upper;
    uint64_t high;
    uint64_t other, mark;      /* only beyond ASCII: \p{Lm} \p{Lo}, and \p{M} */
    uint64_t inside;           /* the second and later bytes of characters */
};

#if defined(OG_USE_AVX2)
#include <immintrin.h>
#define OG_LANES 32
typedef __m256i vec;
#define VEC(name) _mm256_##name
#define VEC_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define VEC_OR _mm256_or_si256
#define VEC_BITS(x) ((uint64_t)(uint32_t)_mm256_movemask_epi8(x))
#define VEC_BELOW(x, n) _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(n)), x)
#elif defined(OG_USE_SSE2)
#include <emmintrin.h>
#define OG_LANES 16
typedef __m128i vec;
#define VEC(name) _mm_##name
#define VEC_LOAD(p) _mm_loadu_si128((const __m128i *)(p))
#define VEC_OR _mm_or_si128
#define VEC_BITS(x) ((uint64_t)(uint32_t)_mm_movemask_epi8(x))
#define VEC_BELOW(x, n) _mm_cmplt_epi8(x, _mm_set1_epi8((char)(n)))
#endif

#if defined(OG_USE_AVX2) || defined(OG_USE_SSE2)

/* Bytes from `first` on, `size` of them, become the smallest signed ones, so that one comparison finds them. */
INLINE vec in_range(vec x, int first, int size)
{
    return VEC_BELOW(VEC(add_epi8)(x, VEC(set1_epi8)((char)(0x80 - first))), -128 + size);
}
INLINE vec equal(vec x, int byte) { return VEC(cmpeq_epi8)(x, VEC(set1_epi8)((char)byte)); }

INLINE void classify(const uint8_t *p, struct masks *m)
{
    *m = (struct masks){0};
    for (unsigned at = 0; at < BLOCK; at += OG_LANES) {
        vec x = VEC_LOAD(p + at), space = equal(x, ' ');
        m->letter |= VEC_BITS(in_range(VEC_OR(x, VEC(set1_epi8)(0x20)), 'a', 26)) << at;
        m->upper |= VEC_BITS(in_range(x, 'A', 26)) << at;
        m->number |= VEC_BITS(in_range(x, '0', 10)) << at;
        m->white |= VEC_BITS(VEC_OR(in_range(x, '\t', 5), space)) << at;
        m->space |= VEC_BITS(space) << at;
        m->newline |= VEC_BITS(VEC_OR(equal(x, '\n'), equal(x, '\r'))) << at;
        m->apostrophe |= VEC_BITS(equal(x, '\'')) << at;
        m->slash |= VEC_BITS(equal(x, '/')) << at;
        m->high |= VEC_BITS(x) << at;
    }
}

#elif defined(OG_USE_NEON)
#include <arm_neon.h>

INLINE uint64_t bits_of(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
    const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t ab = vpaddq_u8(vandq_u8(a, weights), vandq_u8(b, weights));
    uint8x16_t cd = vpaddq_u8(vandq_u8(c, weights), vandq_u8(d, weights));
    ab = vpaddq_u8(ab, cd);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(ab, ab)), 0);
}
INLINE uint8x16_t in_range(uint8x16_t x, int first, int size)
{
    return vcltq_u8(vsubq_u8(x, vdupq_n_u8((uint8_t)first)), vdupq_n_u8((uint8_t)size));
}
INLINE uint8x16_t equal(uint8x16_t x, int byte) { return vceqq_u8(x, vdupq_n_u8((uint8_t)byte)); }
#define FOUR(test) bits_of(test(x[0]), test(x[1]), test(x[2]), test(x[3]))
#define LETTER(x) in_range(vorrq_u8(x, vdupq_n_u8(0x20)), 'a', 26)
#define UPPER_(x) in_range(x, 'A', 26)
#define NUMBER_(x) in_range(x, '0', 10)
#define WHITE_(x) vorrq_u8(in_range(x, '\t', 5), equal(x, ' '))
#define NEWLINE_(x) vorrq_u8(equal(x, '\n'), equal(x, '\r'))
#define SPACE_(x) equal(x, ' ')
#define APOSTROPHE_(x) equal(x, '\'')
#define SLASH_(x) equal(x, '/')
#define HIGH_(x) vcgeq_u8(x, vdupq_n_u8(0x80))

INLINE void classify(const uint8_t *p, struct masks *m)
{
    uint8x16_t x[4] = {vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)};
    *m = (struct masks){.letter = FOUR(LETTER), .upper = FOUR(UPPER_), .number = FOUR(NUMBER_), .white = FOUR(WHITE_),
                        .space = FOUR(SPACE_), .newline = FOUR(NEWLINE_), .apostrophe = FOUR(APOSTROPHE_),
                        .slash = FOUR(SLASH_), .high = FOUR(HIGH_)};
}

#else

enum { A_LETTER = 1, A_NUMBER = 2, A_WHITE = 4, A_SPACE = 8, A_NEWLINE = 16, A_APOSTROPHE = 32, A_SLASH = 64, A_UPPER = 128 };

#define SMALL A_LETTER
#define CAPITAL (A_LETTER | A_UPPER)
static const uint8_t ascii[256] = {
    ['\t'] = A_WHITE, ['\n'] = A_WHITE | A_NEWLINE, ['\v'] = A_WHITE, ['\f'] = A_WHITE, ['\r'] = A_WHITE | A_NEWLINE,
    [' '] = A_WHITE | A_SPACE, ['\''] = A_APOSTROPHE, ['/'] = A_SLASH,
    ['0'] = A_NUMBER, A_NUMBER, A_NUMBER, A_NUMBER, A_NUMBER, A_NUMBER, A_NUMBER, A_NUMBER, A_NUMBER, A_NUMBER,
    ['A'] = CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL,
    CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL, CAPITAL,
    ['a'] = SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL,
    SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL, SMALL,
};

/* Eight bytes of flags, one for each byte of text, become eight bytes of bits, one for each flag: the 8 by 8 matrix of bits
 * is transposed (Warren, Hacker's Delight, 7-3). */
INLINE uint64_t transpose(uint64_t x)
{
    uint64_t t;
    t = (x ^ x >> 7) & UINT64_C(0x00AA00AA00AA00AA), x ^= t ^ t << 7;
    t = (x ^ x >> 14) & UINT64_C(0x0000CCCC0000CCCC), x ^= t ^ t << 14;
    t = (x ^ x >> 28) & UINT64_C(0x00000000F0F0F0F0), x ^= t ^ t << 28;
    return x;
}

INLINE void classify(const uint8_t *p, struct masks *m)
{
    uint64_t *const by_flag[8] = {&m->letter, &m->number, &m->white, &m->space, &m->newline, &m->apostrophe, &m->slash, &m->upper};
    *m = (struct masks){0};
    for (unsigned at = 0; at < BLOCK; at += 8) {
        uint64_t flags = 0, high = load64(p + at) >> 7 & UINT64_C(0x0101010101010101);
        for (unsigned i = 0; i < 8; i++)
            flags |= (uint64_t)ascii[p[at + i]] << (8 * i);
        flags = transpose(flags);
        for (unsigned f = 0; f < 8; f++)
            *by_flag[f] |= (flags >> (8 * f) & 0xFF) << at;
        m->high |= (high * UINT64_C(0x0102040810204080) >> 56) << at;
    }
}

#endif
#endif
