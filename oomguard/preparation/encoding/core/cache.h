/* The cache of words: what the look-up and the way of a miss agree on. */
#ifndef OG_CACHE_H
#define OG_CACHE_H

#include "internal.h"

/* The last byte of a bucket's value: the bytes that its tokens take in the output; whether it was seen again; and, in the
 * first way, the hand: where the next replacement begins. */
enum { META = 15, SIZE_BITS = 0x1F, HAND_SHIFT = 5, HAND_BITS = 3 << HAND_SHIFT, IN_USE = 0x80 };

/* Tokens of 32 bits are kept in 24, which makes room for 5 instead of 3: words of other scripts often have so many. */
INLINE unsigned kept_size(unsigned token_size) { return token_size == 2 ? 2 : 3; }
INLINE unsigned most_tokens(unsigned token_size) { return META / kept_size(token_size); }
INLINE unsigned most_long_tokens(unsigned token_size) { return sizeof ((struct long_entry *)0)->tokens / kept_size(token_size); }

INLINE void keep_tokens(uint8_t *kept, const uint8_t *tokens, unsigned count, unsigned token_size)
{
    for (unsigned i = 0; i < count; i++)
        memcpy(kept + i * kept_size(token_size), tokens + i * token_size, kept_size(token_size));
}

/* An empty place has the key ~0 and 0, which is no word's; nor is the key of all 0xFF ever in a bucket, so words that are
 * longer than a key take the way of a miss without a branch of their own. */
INLINE void put_token(uint8_t **out, uint32_t token, unsigned token_size)
{
    memcpy(*out, &token, 4); /* two bytes too many for uint16: there is slack, and the next token overwrites them */
    *out += token_size;
}

#endif
