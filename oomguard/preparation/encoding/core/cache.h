/* The cache of words: what the look-up and the way of a miss agree on. */
#ifndef OG_CACHE_H
#define OG_CACHE_H

#include "internal.h"

/* The last two bytes of a bucket's value. The hand, in the first way, is where the next replacement begins. */
enum { META = 14, COUNT_BITS = 15, IN_USE = 0x8000, HAND_SHIFT = 8, HAND_BITS = 3 << HAND_SHIFT };

INLINE unsigned most_tokens(unsigned token_size) { return token_size == 2 ? 7 : 3; }
INLINE unsigned most_long_tokens(unsigned token_size) { return token_size == 2 ? 35 : 17; }

INLINE uint16_t meta_of(const uint8_t *value) { uint16_t meta; memcpy(&meta, value + META, 2); return meta; }
INLINE void set_meta(uint8_t *value, unsigned meta) { uint16_t m = (uint16_t)meta; memcpy(value + META, &m, 2); }

/* An empty place has the key ~0 and 0, which is no word's; nor is the key of all 0xFF ever in a bucket, so words that are
 * longer than a key take the way of a miss without a branch of their own. */
INLINE void put_token(uint8_t **out, uint32_t token, unsigned token_size)
{
    memcpy(*out, &token, 4); /* two bytes too many for uint16: there is slack, and the next token overwrites them */
    *out += token_size;
}

#endif
