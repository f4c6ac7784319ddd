/* From pretokens to tokens by the cache, the loop in which half of the time goes. */
#include "cache.h"

#if defined(OG_USE_AVX2)
#include <immintrin.h>
#elif defined(OG_USE_SSE2)
#include <emmintrin.h>
#endif

/* A bit for the way whose key this is: way << WAY_SHIFT is its place. Masks and a count of zeros, because a comparison by
 * branches is mispredicted on 15 % of the words. */
#if defined(OG_USE_AVX2)
#define WAY_SHIFT 1
#elif defined(OG_USE_SSE2)
#define WAY_SHIFT 2
#else
#define WAY_SHIFT 0
#endif

INLINE unsigned find_way(const struct bucket *bucket, const uint64_t key[2])
{
#if defined(OG_USE_AVX2)
    __m256i k = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)key));
    __m256i a = _mm256_cmpeq_epi64(k, _mm256_load_si256((const __m256i *)bucket->keys[0]));
    __m256i b = _mm256_cmpeq_epi64(k, _mm256_load_si256((const __m256i *)bucket->keys[2]));
    unsigned words = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(a)) |
                     (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(b)) << 4;
    return words & words >> 1 & 0x55;
#elif defined(OG_USE_SSE2)
    __m128i k = _mm_loadu_si128((const __m128i *)key), e[WAYS];
    for (unsigned way = 0; way < WAYS; way++)
        e[way] = _mm_cmpeq_epi32(k, _mm_load_si128((const __m128i *)bucket->keys[way]));
    __m128i all = _mm_packs_epi16(_mm_packs_epi32(e[0], e[1]), _mm_packs_epi32(e[2], e[3]));
    unsigned words = (unsigned)_mm_movemask_epi8(all);
    return words & words >> 1 & words >> 2 & words >> 3 & 0x1111;
#else
    unsigned found = 0;
    for (unsigned way = 0; way < WAYS; way++)
        found |= (unsigned)(((bucket->keys[way][0] ^ key[0]) | (bucket->keys[way][1] ^ key[1])) == 0) << way;
    return found;
#endif
}

/* All that a value can hold is written; how much of it counts is added by the caller. */
INLINE void write_tokens(uint8_t *out, const uint8_t *value, unsigned token_size)
{
    uint32_t token;
    if (token_size == 2) {
        memcpy(out, value, 16);
        return;
    }
#if defined(OG_USE_AVX2)
    const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    _mm_storeu_si128((__m128i *)out, _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)value), spread));
#else
    for (unsigned i = 0; i < 4; i++) {
        memcpy(&token, value + 3 * i, 4);
        token &= 0xFFFFFF;
        memcpy(out + 4 * i, &token, 4);
    }
#endif
    memcpy(&token, value + 12, 4);
    token &= 0xFFFFFF;
    memcpy(out + 16, &token, 4);
}

/* A word near the end of readable memory: no more of it may be loaded than it has. */
static void careful_key(const uint8_t *word, uint32_t size, uint64_t key[2])
{
    uint8_t bytes[KEY];
    memset(bytes, 0xFF, KEY);
    memcpy(bytes, word, size < KEY ? size : 0);
    memcpy(key, bytes, KEY);
}

/* Two passes over a group: keys, hashes and prefetches; then comparisons. In one pass: 170 instead of 232 MB/s. What is
 * found is copied, because resolving what is not may replace it. */
INLINE void look_up_group(struct og_state *state, const struct batch *batch, unsigned from, unsigned to, bool marking)
{
    uint64_t keys[GROUP][2];
    struct bucket *buckets[GROUP];
    struct bucket *const all = state->buckets;
    const uint32_t *starts = batch->starts + from;
    const uint8_t *text = batch->text;
    unsigned shift = 64 - state->cache_bits, count = to - from, safe = count;
    while (safe && batch->readable_end - (text + starts[safe - 1]) < KEY)
        safe--;
    for (unsigned i = 0; i < safe; i++) {
        const uint8_t *word = text + starts[i];
        uint32_t size = starts[i + 1] - starts[i];
        const uint64_t *row = og_beyond[size < KEY + 1 ? size : KEY + 1];
        uint64_t k0 = load64(word) | row[0], k1 = load64(word + 8) | row[1];
        keys[i][0] = k0;
        keys[i][1] = k1;
        buckets[i] = &all[key_hash(k0, k1) >> shift];
        __builtin_prefetch(buckets[i]->keys);
        __builtin_prefetch(buckets[i]->values);
    }
    for (unsigned i = safe; i < count; i++) {
        careful_key(text + starts[i], starts[i + 1] - starts[i], keys[i]);
        buckets[i] = &all[key_hash(keys[i][0], keys[i][1]) >> shift];
    }
    for (unsigned i = 0; i < count; i++) {
        struct bucket *bucket = buckets[i];
        unsigned found = find_way(bucket, keys[i]);
        if (UNLIKELY(!found)) {
            struct missed *missed = &state->missed[state->missed_count++];
            memcpy(missed->key, keys[i], KEY);
            missed->bucket = bucket;
            missed->span = from + i;
            continue;
        }
        uint8_t *value = bucket->values[0] + (lowest(found) << (4 - WAY_SHIFT));
        memcpy(state->found[from + i], value, 16);
        if (marking)
            value[META] |= IN_USE;
    }
}

INLINE uint8_t *write_group(const struct og_state *state, unsigned from, unsigned to, uint8_t *out, unsigned token_size)
{
    for (unsigned i = from; i < to; i++) {
        write_tokens(out, state->found[i], token_size);
        out += state->found[i][META] & SIZE_BITS;
    }
    return out;
}

/* In rounds: a batch, or until many words were missed. Those are resolved together, so that their ways to memory overlap,
 * and then all is written in order. Marks are set in one batch of eight, by a second copy of the loop: enough to tell what
 * is in use. */
INLINE uint8_t *look_up(struct og_state *state, struct batch *batch, uint8_t *out, unsigned token_size)
{
    bool marking = (state->batches++ & 7) == 0;
    for (unsigned from = 0, to = 0; from < batch->count; from = to) {
        state->missed_count = 0;
        while (to < batch->count && state->missed_count <= MOST_MISSED - GROUP) {
            unsigned group = to;
            to = to + GROUP < batch->count ? to + GROUP : batch->count;
            if (marking)
                look_up_group(state, batch, group, to, true);
            else
                look_up_group(state, batch, group, to, false);
        }
        if (state->missed_count)
            og_resolve(state, batch);
        for (unsigned i = 0; i < state->missed_count; i++) {
            const struct missed *missed = &state->missed[i];
            out = write_group(state, from, missed->span, out, token_size);
            out = og_put_missed(state, batch, missed, out);
            from = missed->span + 1;
        }
        out = write_group(state, from, to, out, token_size);
    }
    return out;
}

uint8_t *TIERED(og_look_up_16)(struct og_state *state, struct batch *batch, uint8_t *out);
uint8_t *TIERED(og_look_up_16)(struct og_state *state, struct batch *batch, uint8_t *out)
{
    return look_up(state, batch, out, 2);
}

uint8_t *TIERED(og_look_up_32)(struct og_state *state, struct batch *batch, uint8_t *out);
uint8_t *TIERED(og_look_up_32)(struct og_state *state, struct batch *batch, uint8_t *out)
{
    return look_up(state, batch, out, 4);
}
