/* What the files of the core share. */
#ifndef OG_INTERNAL_H
#define OG_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api.h"

#pragma GCC visibility push(hidden)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the core reads keys and offsets as little-endian words"
#endif

#define INLINE static inline __attribute__((always_inline))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TIERED(name) JOIN(name, OG_TIER) /* OG_TIER: the suffix that the build gives, -DOG_TIER=avx2 */

INLINE uint64_t load64(const void *at) { uint64_t x; memcpy(&x, at, 8); return x; }
INLINE unsigned lowest(uint64_t bits) { return (unsigned)__builtin_ctzll(bits); }
INLINE unsigned highest(uint64_t bits) { return 63 - (unsigned)__builtin_clzll(bits); }
/* For loops without a branch: anything for 0. */
INLINE unsigned lowest_or_any(uint64_t bits)
{
#if defined(__BMI__)
    return (unsigned)__builtin_ia32_tzcnt_u64(bits);
#else
    return lowest(bits | UINT64_C(1) << 63);
#endif
}
INLINE unsigned count_bits(uint64_t x)
{
#if defined(__POPCNT__) || defined(__aarch64__)
    return (unsigned)__builtin_popcountll(x);
#else /* the compiler would call a function */
    x -= x >> 1 & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + (x >> 2 & UINT64_C(0x3333333333333333));
    return (unsigned)(((x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F)) * UINT64_C(0x0101010101010101) >> 56);
#endif
}
INLINE uint64_t below(unsigned n) { return n >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1; }

/* ---- the vocabulary: one block without pointers, the same wherever it is mapped ---- */

#define NO_TOKEN 0xFFFFFFu /* ids have 20 bits */
#define MOST_TOKENS (1u << 20)

struct og_vocabulary {
    char magic[16];
    uint64_t size;        /* of the block */
    uint32_t token_count; /* the highest rank + 1 */
    uint32_t word_bits;   /* of the table of words */
    uint32_t group_bits, pair_bits;
    uint32_t longest; /* token, in bytes */
    uint32_t six_bits;
    /* where the parts begin, from the start of the block */
    uint64_t text_at, offsets_at, words_at, two_at, crosses_at, sixes_at, groups_at, pairs_at;
    uint32_t byte[256]; /* the token of each single byte */
};

INLINE const void *part(const struct og_vocabulary *v, uint64_t at) { return (const char *)v + at; }
INLINE const uint8_t *token_text(const struct og_vocabulary *v) { return part(v, v->text_at); }
INLINE const uint32_t *token_offsets(const struct og_vocabulary *v) { return part(v, v->offsets_at); }

/* Whether a token may have bytes on both sides of a place in a word, `at` bytes from its start. Exact when it says no. */
INLINE bool get_bit(const uint8_t *bits, uint64_t n) { return bits[n >> 3] >> (n & 7) & 1; }
INLINE uint64_t six_hash(const uint8_t *six)
{
    uint32_t low, high;
    memcpy(&low, six, 4);
    memcpy(&high, six + 2, 4);
    return (low * UINT64_C(0x9E3779B97F4A7C15)) ^ ((uint64_t)high * UINT64_C(0xC2B2AE3D27D4EB4F));
}
#define CROSSES_BYTES (1u << 13) /* of each of the two maps of byte pairs */
INLINE bool may_cross(const struct og_vocabulary *v, const uint8_t *word, uint64_t at, uint64_t size)
{
    const uint8_t *crosses = part(v, v->crosses_at);
    unsigned pair = (unsigned)word[at - 1] << 8 | word[at];
    if (!get_bit(crosses, pair))
        return false; /* no token has these two bytes side by side */
    if (get_bit(crosses + CROSSES_BYTES, pair))
        return true; /* one has, with fewer than three bytes on one side */
    if (at < 3 || size - at < 3)
        return false;
    return get_bit(part(v, v->sixes_at), six_hash(word + at - 3) >> (64 - v->six_bits)); /* three bytes and three */
}

/* The place of a pair of tokens: a perfect hash by displacement (see vocabulary.c), so no branch and no probing. A group of
 * pairs has the displacement in its lower half, and in the upper a bit for each of its pairs, because most pairs that are
 * looked for are none: where the bit is clear, the table itself, which is ten times as large, need not be asked. */
INLINE uint64_t pair_key(uint32_t left, uint32_t right) { return (uint64_t)left << 20 | right; }
INLINE uint64_t pair_hash(uint64_t key) { return key * UINT64_C(0x9E3779B97F4A7C15); }
INLINE uint64_t pair_place(uint64_t hash, uint32_t displacement)
{
    return (hash >> 8) + displacement * (hash >> 20 | 1);
}
INLINE uint32_t group_bit(uint64_t hash) { return UINT32_C(0x10000) << (hash >> 40 & 15); }
INLINE const uint32_t *pair_group(const struct og_vocabulary *v, uint64_t hash)
{
    return (const uint32_t *)part(v, v->groups_at) + (hash >> (64 - v->group_bits));
}
INLINE const uint64_t *pair_entry(const struct og_vocabulary *v, uint64_t hash, uint32_t group)
{
    const uint64_t *pairs = part(v, v->pairs_at);
    return &pairs[pair_place(hash, group & 0xFFFF) & ((UINT64_C(1) << v->pair_bits) - 1)];
}

INLINE uint32_t find_pair(const struct og_vocabulary *v, uint32_t left, uint32_t right)
{
    uint64_t key = pair_key(left, right), hash = pair_hash(key);
    uint32_t group = *pair_group(v, hash);
    if (!(group & group_bit(hash)))
        return NO_TOKEN;
    uint64_t entry = *pair_entry(v, hash, group);
    return entry >> 24 == key ? (uint32_t)(entry & NO_TOKEN) : NO_TOKEN;
}

/* A key is the word's first 16 bytes with 0xFF from its end on: that byte is in no valid text, so no length is needed.
 * og_beyond[size] has the 0xFF; the row after 16 is all 0xFF, for everything longer. */
#define KEY 16
extern const uint64_t og_beyond[KEY + 2][2];

INLINE uint64_t key_hash(uint64_t k0, uint64_t k1)
{
    unsigned __int128 product = (unsigned __int128)(k0 ^ UINT64_C(0x9E3779B97F4A7C15)) * (k1 ^ UINT64_C(0xC2B2AE3D27D4EB4F));
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

uint32_t og_find_word(const struct og_vocabulary *v, const uint8_t *word, uint64_t size);
void og_prefetch_key(const struct og_vocabulary *v, const uint64_t key[2]);
uint32_t og_find_key(const struct og_vocabulary *v, const uint64_t key[2], uint64_t size);

/* ---- a state: one thread's cache of words, of a size that never changes ---- */

#define BATCH 1024         /* pretokens between two looks at the room for tokens: 512 costs 2 % */
#define BLOCK 64           /* bytes that are classified together */
#define MOST_STARTS (BATCH + BLOCK + 32) /* a batch ends with the block in which it is full; and what is written unasked */
#define LONG_KEY 56        /* bytes of a word that the second cache takes */
#define WAYS 4
#define SPILLED_BYTES 8192 /* a bit for each short word of the second cache, by its hash */

/* Line 1: four keys. Line 2: their tokens, up to 7 of 16 bits or 5 of 24, and a byte that says how many (see cache.h). */
struct bucket {
    uint64_t keys[WAYS][2];
    uint8_t values[WAYS][16];
};

struct long_entry {
    uint8_t word[LONG_KEY];
    uint8_t size;  /* 0: empty */
    uint8_t count; /* tokens */
    uint8_t tokens[70];
};

/* A word that the cache did not have. */
struct missed {
    uint64_t key[2];
    struct bucket *bucket;
    struct long_entry *place; /* in the second cache; NULL: too long for it, or too short to need it */
    unsigned span;  /* in the batch */
    unsigned size;  /* bytes */
    unsigned first_part; /* bytes */
    unsigned first; /* of its parts */
    unsigned count; /* of its parts; 0: it waits until it is written */
};

/* A part of a word on its way through the merges (see merge_short.c). */
struct part {
    const uint8_t *text;
    uint32_t *token;   /* token[i] begins with byte i, where bit i of `live` is set; none at -1 and `size` */
    int32_t *pair;     /* what that and the next one make, and i; also at -1 */
    uint64_t live;
    unsigned size;     /* bytes */
    unsigned lanes;    /* of token and pair: more than size */
    unsigned at;       /* where the last merge was, */
    int left;          /* where the token before it begins; -1: nowhere, */
    uint64_t key[2];   /* the pairs that it made: with that, and with the one behind it, */
    const uint64_t *entry[2]; /* and where the vocabulary has them */
};
#define LANES 8 /* numbers that are compared together */
INLINE unsigned lanes_for(unsigned bytes) { return bytes / LANES * LANES + LANES; }

#define GROUP 64 /* words whose cache lines are on their way together: 32 costs 11 to 17 %, 128 costs 4 % */
#define MOST_MISSED (2 * GROUP) /* what is merged together stays in the first-level cache: twice as many cost 10 % */
#define MOST_PARTS 256     /* that are merged together */
#define MOST_PART_LANES 2560

struct splitter { uint32_t family, switches; };

/* What is known of the character before a block; all 0: a pretoken begins with the block. */
struct carry { uint64_t letter, number, punct, white, space, punct_start, lower, other; };

/* How far the search for pretokens has come. Places count from `text`. */
struct scan {
    const uint8_t *text;
    uint64_t end;      /* of the document, or of what is known of it */
    uint64_t readable; /* so far memory may be read */
    uint64_t base;     /* of the next block */
    struct carry carry;
    bool fresh;        /* base begins a pretoken that is not in the list yet */
    bool last;         /* the document ends with `end` */
    uint64_t error_at;
};

enum scan_stop { SCAN_BATCH, SCAN_END, SCAN_MORE, SCAN_BAD };

/* Memory of the caller's for words that are long even when they are divided. */
struct scratch {
    void *memory;
    uint64_t size;
    uint64_t needed; /* out: more than there is; 0: it was enough */
};

struct batch {
    const uint8_t *text;
    const uint8_t *readable_end;
    const uint32_t *starts; /* count + 1 */
    unsigned count;
    unsigned too_long; /* out: the first word that needs more scratch; count: none */
    struct scratch scratch;
};

struct og_state;
struct tier {
    enum scan_stop (*scan[3])(const struct splitter *, struct scan *, uint32_t *starts, unsigned *count);
    uint8_t *(*look_up[2])(struct og_state *, struct batch *, uint8_t *out);
    void (*merge)(const struct og_vocabulary *, struct part *, unsigned count);
};

struct og_state {
    const struct og_vocabulary *vocabulary;
    struct tier tier;
    struct splitter splitter;
    uint32_t cache_bits, long_bits, token_size, first_id;
    uint32_t batches; /* counts batches, for the marks */
    uint32_t magic;
    struct bucket *buckets;
    struct long_entry *long_entries;
    uint32_t starts[MOST_STARTS];
    uint8_t found[MOST_STARTS][16]; /* the values of a batch's words */
    struct missed missed[MOST_MISSED];
    uint8_t spilled[SPILLED_BYTES];
    struct part parts[MOST_PARTS];
    uint32_t part_tokens[LANES + MOST_PART_LANES]; /* a part's last is none, and so the next one's at -1 */
    int32_t part_pairs[LANES + MOST_PART_LANES];
    unsigned missed_count;
};

#define STATE_MAGIC 0x6f676331u

_Static_assert(sizeof(struct bucket) == 128 && sizeof(struct long_entry) == 128, "two cache lines");

enum scan_stop og_pretoken_end(const struct splitter *, const struct scan *, uint64_t start, uint64_t *end,
                               uint64_t *error_at);
uint8_t *og_encode_word(struct og_state *, const uint8_t *word, uint64_t size, struct scratch *, uint8_t *out);
void og_resolve(struct og_state *, const struct batch *);
uint64_t og_part_size(const struct og_vocabulary *, const uint8_t *word, uint64_t at, uint64_t size);
uint8_t *og_put_part(const struct og_state *, const struct part *, uint8_t *out);
uint8_t *og_put_missed(struct og_state *, struct batch *, const struct missed *, uint8_t *out);
void og_seed(struct og_state *);

#pragma GCC visibility pop

#endif
