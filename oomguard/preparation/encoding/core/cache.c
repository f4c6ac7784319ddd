/* The way of a word that is not in the cache: encode it, and remember it in a place of fixed size. */
#include "cache.h"

/* The oldest entry that was not seen again goes; where all four were, they begin anew. Order of arrival without marks has
 * 10 to 35 % more misses; last in, first out 35 % more; exact recency is no better than marks. */
static void remember(struct bucket *bucket, const uint64_t key[2], const uint8_t *tokens, unsigned count, unsigned token_size)
{
    uint8_t *const first = &bucket->values[0][META];
    unsigned way = (*first & HAND_BITS) >> HAND_SHIFT, looked = 0;
    while (looked < WAYS && bucket->values[way][META] & IN_USE) {
        way = (way + 1) % WAYS;
        looked++;
    }
    if (looked == WAYS)
        for (unsigned each = 0; each < WAYS; each++)
            bucket->values[each][META] &= (uint8_t)~IN_USE;
    memcpy(bucket->keys[way], key, KEY);
    keep_tokens(bucket->values[way], tokens, count, token_size);
    bucket->values[way][META] = (uint8_t)((bucket->values[way][META] & HAND_BITS) | count * token_size);
    *first = (uint8_t)((*first & ~HAND_BITS) | (way + 1) % WAYS << HAND_SHIFT);
}

#define ROW(n) [n] = {n < 8 ? ~UINT64_C(0) << (8 * (n & 7)) : 0, n < 16 ? ~UINT64_C(0) << (n < 8 ? 0 : 8 * (n & 7)) : 0}
const uint64_t og_beyond[KEY + 2][2] __attribute__((aligned(64))) = {
    ROW(0),  ROW(1),  ROW(2),  ROW(3),  ROW(4),  ROW(5),  ROW(6),  ROW(7),  ROW(8),  ROW(9),
    ROW(10), ROW(11), ROW(12), ROW(13), ROW(14), ROW(15), ROW(16), [17] = {~UINT64_C(0), ~UINT64_C(0)},
};

/* The vocabulary is in the cache from the start, the rarest tokens first, so that the commonest stay. A token with the byte
 * 0xFF would be mistaken for padding: it is in no valid text, so it is left out. */
void og_seed(struct og_state *state)
{
    const struct og_vocabulary *v = state->vocabulary;
    const uint32_t *offsets = token_offsets(v);
    uint64_t places = UINT64_C(1) << state->cache_bits;
    uint32_t from = v->token_count > places ? (uint32_t)places : v->token_count;
    for (uint32_t token = from; token-- > 0;) {
        uint64_t key[2];
        uint32_t size = offsets[token + 1] - offsets[token], id = token + state->first_id;
        const uint8_t *text = token_text(v) + offsets[token];
        if (size == 0 || size > KEY || memchr(text, 0xFF, size))
            continue;
        for (unsigned i = 0; i < 2; i++) /* the text has room for a whole key behind its last token */
            key[i] = load64(text + 8 * i) | og_beyond[size][i];
        uint8_t bytes[4];
        memcpy(bytes, &id, 4);
        remember(&state->buckets[key_hash(key[0], key[1]) >> (64 - state->cache_bits)], key, bytes, 1, state->token_size);
    }
}

static uint64_t hash_long(const uint8_t *word, uint64_t size)
{
    uint64_t hash = size * UINT64_C(0x9E3779B97F4A7C15), tail = 0;
    for (; size >= 8; word += 8, size -= 8)
        hash = (hash ^ load64(word)) * UINT64_C(0xC2B2AE3D27D4EB4F), hash ^= hash >> 32;
    memcpy(&tail, word, size);
    hash = (hash ^ tail) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

/* Words of 17 to 56 bytes: a second cache, an eighth as large, two ways, the newer one first. */
static uint8_t *long_word(struct og_state *state, const uint8_t *word, uint64_t size, struct scratch *scratch, uint8_t *out)
{
    uint64_t place = hash_long(word, size) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - state->long_bits) << 1;
    struct long_entry *entry = &state->long_entries[place];
    for (unsigned way = 0; way < 2; way++)
        if (entry[way].size == size && memcmp(entry[way].word, word, size) == 0) {
            for (unsigned i = 0; i < entry[way].count; i++) {
                uint32_t token = 0;
                memcpy(&token, entry[way].tokens + i * kept_size(state->token_size), kept_size(state->token_size));
                put_token(&out, token, state->token_size);
            }
            return out;
        }
    uint8_t *end = og_encode_word(state, word, size, scratch, out);
    unsigned count = (unsigned)((size_t)(end - out) / state->token_size);
    if (count <= most_long_tokens(state->token_size)) {
        entry[1] = entry[0];
        memcpy(entry[0].word, word, size);
        entry[0].size = (uint8_t)size;
        entry[0].count = (uint8_t)count;
        keep_tokens(entry[0].tokens, out, count, state->token_size);
    }
    return end;
}

/* What was missed, together: words that are tokens, and the merges of the others. Long words wait until they are written. */
void og_resolve(struct og_state *state, const struct batch *batch)
{
    struct missed *merged[MOST_MISSED];
    unsigned merged_count = 0;
    for (unsigned i = 0; i < state->missed_count; i++) {
        struct missed *m = &state->missed[i];
        m->size = batch->starts[m->span + 1] - batch->starts[m->span];
        m->count = 0;
        if (m->size <= KEY)
            og_prefetch_key(state->vocabulary, m->key);
    }
    for (unsigned i = 0; i < state->missed_count; i++) {
        struct missed *m = &state->missed[i];
        if (m->size > KEY)
            continue;
        m->token[0] = og_find_key(state->vocabulary, m->key, m->size);
        if (m->token[0] != NO_TOKEN)
            m->count = 1;
        else
            merged[merged_count++] = m;
    }
    og_merge_together(state, merged, merged_count);
}

uint8_t *og_put_missed(struct og_state *state, struct batch *batch, const struct missed *m, uint8_t *out)
{
    uint8_t *end = out;
    if (m->size <= KEY) {
        for (unsigned i = 0; i < m->count; i++)
            put_token(&end, m->token[i] + state->first_id, state->token_size);
        if (m->count <= most_tokens(state->token_size))
            remember(m->bucket, m->key, out, m->count, state->token_size);
        return end;
    }
    const uint8_t *word = batch->text + batch->starts[m->span];
    if (m->size <= LONG_KEY)
        return long_word(state, word, m->size, &batch->scratch, out);
    end = og_encode_word(state, word, m->size, &batch->scratch, out);
    if (UNLIKELY(batch->scratch.needed) && batch->too_long == batch->count)
        batch->too_long = m->span;
    return end;
}
