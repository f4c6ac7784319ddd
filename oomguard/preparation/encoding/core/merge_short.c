/* Byte-pair merging of many short words at once: always the pair of the lowest rank, the leftmost first among equals.
 *
 * Tokens stay where their first byte is; a bit tells which places still begin one, so that nothing is moved, and nothing but
 * the end of a word is a branch. The plain C is the specification; find_lowest differs between processors. */
#include "internal.h"

#if defined(OG_USE_AVX2)
#include <immintrin.h>
#endif

#define PLACE_BITS 6 /* below what a pair makes is its place: the least number is the lowest pair, and the leftmost */
#define PLACE(i) ((int32_t)(i) & ((1 << PLACE_BITS) - 1))
#define NO_PAIR(i) ((int32_t)(NO_TOKEN << PLACE_BITS) | PLACE(i))

INLINE int32_t find_lowest(const int32_t *pair, unsigned lanes)
{
#if defined(OG_USE_AVX2)
    __m256i least = _mm256_loadu_si256((const __m256i *)pair);
    for (unsigned i = LANES; i < lanes; i += LANES)
        least = _mm256_min_epi32(least, _mm256_loadu_si256((const __m256i *)(pair + i)));
    __m128i four = _mm_min_epi32(_mm256_castsi256_si128(least), _mm256_extracti128_si256(least, 1));
    four = _mm_min_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    four = _mm_min_epi32(four, _mm_shuffle_epi32(four, 0xB1));
    return _mm_cvtsi128_si32(four);
#else
    int32_t least = pair[0];
    for (unsigned i = 1; i < lanes; i++)
        least = pair[i] < least ? pair[i] : least;
    return least;
#endif
}

INLINE void begin(const struct og_vocabulary *v, struct part *p)
{
    const uint32_t *two = part(v, v->two_at);
    const uint8_t *text = p->text;
    unsigned last = p->size - 1, i;
    for (i = 0; i < last; i++) {
        p->token[i] = v->byte[text[i]];
        p->pair[i] = (int32_t)(two[(unsigned)text[i] << 8 | text[i + 1]] << PLACE_BITS | i);
    }
    p->token[last] = v->byte[text[last]];
    p->pair[last] = NO_PAIR(last);
    for (i = p->size; i < p->lanes; i++) {
        p->token[i] = NO_TOKEN;
        p->pair[i] = NO_PAIR(i);
    }
    p->live = below(p->size);
}

/* One merge, but for the pairs that it makes. False when there is no pair left. */
INLINE bool merge_once(struct part *p)
{
    int32_t lowest_pair = find_lowest(p->pair, p->lanes);
    uint32_t made = (uint32_t)lowest_pair >> PLACE_BITS;
    unsigned at = (unsigned)PLACE(lowest_pair);
    if (made == NO_TOKEN)
        return false;
    uint64_t after = p->live & ~UINT64_C(1) << at;
    unsigned joined = lowest(after);
    after &= after - 1;
    p->live ^= UINT64_C(1) << joined;
    p->pair[joined] = NO_PAIR(joined);
    p->token[at] = made;
    p->at = at;
    p->left = (int)highest((p->live & below(at)) << 1 | 1) - 1; /* -1: there is none, and no token there */
    unsigned right = after ? lowest(after) : p->size;
    p->key[0] = pair_key(p->token[p->left], made);
    p->key[1] = pair_key(made, p->token[right]);
    return true;
}

/* Where a pair's entry is, if it can have one; else where there is none. */
INLINE const uint64_t *place_of(const struct og_vocabulary *v, uint64_t key)
{
    static const uint64_t none = UINT64_MAX;
    uint64_t hash = pair_hash(key);
    uint32_t group = *pair_group(v, hash);
    return group & group_bit(hash) ? pair_entry(v, hash, group) : &none;
}

INLINE int32_t made_by(const uint64_t *entry, uint64_t key, int place)
{
    return *entry >> 24 == key ? (int32_t)((uint32_t)(*entry & NO_TOKEN) << PLACE_BITS) | PLACE(place) : NO_PAIR(place);
}

/* One merge of each part in turn, in three steps with a prefetch between them: the vocabulary is larger than the
 * second-level cache, so that the parts wait for it together. English, r50k, new text: 260 to 295 MB/s. */
void TIERED(og_merge_short)(const struct og_vocabulary *v, struct part *parts, unsigned count);
void TIERED(og_merge_short)(const struct og_vocabulary *v, struct part *parts, unsigned count)
{
    struct part *going[MOST_PARTS];
    unsigned merged = 0;
    for (unsigned i = 0; i < count; i++)
        if (parts[i].text) {
            begin(v, &parts[i]);
            going[merged++] = &parts[i];
        }
    while (merged) {
        count = merged;
        merged = 0;
        for (unsigned i = 0; i < count; i++) {
            struct part *p = going[i];
            going[merged] = p;
            if (merge_once(p)) {
                for (unsigned k = 0; k < 2; k++)
                    __builtin_prefetch(pair_group(v, pair_hash(p->key[k])));
                merged++;
            }
        }
        for (unsigned i = 0; i < merged; i++)
            for (unsigned k = 0; k < 2; k++)
                __builtin_prefetch(going[i]->entry[k] = place_of(v, going[i]->key[k]));
        for (unsigned i = 0; i < merged; i++) {
            struct part *p = going[i];
            p->pair[p->left] = made_by(p->entry[0], p->key[0], p->left);
            p->pair[p->at] = made_by(p->entry[1], p->key[1], (int)p->at);
        }
    }
}
