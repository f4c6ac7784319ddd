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
    *first = (uint8_t)((*first & (0xFFu ^ HAND_BITS)) | (way + 1) % WAYS << HAND_SHIFT);
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

/* Words of 17 to 56 bytes, and shorter ones of more tokens than a bucket holds (r50k: the indentation of code): a second
 * cache, an eighth as large, two ways. */
static struct long_entry *long_place(struct og_state *state, const uint8_t *word, unsigned size)
{
    return &state->long_entries[hash_long(word, size) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - state->long_bits) << 1];
}

/* Whether a word that would fit in a bucket, but for its many tokens, may be in the second cache: next to none is. */
static uint64_t spilled_bit(const uint64_t key[2]) { return key_hash(key[0], key[1]) & (8 * SPILLED_BYTES - 1); }
static bool was_spilled(const struct og_state *state, const uint64_t key[2])
{
    return get_bit(state->spilled, spilled_bit(key));
}
static void set_spilled(struct og_state *state, const uint64_t key[2])
{
    uint64_t bit = spilled_bit(key);
    state->spilled[bit >> 3] |= (uint8_t)(1u << (bit & 7));
}

static const struct long_entry *find_long(const struct long_entry *place, const uint8_t *word, unsigned size)
{
    for (unsigned way = 0; way < 2; way++)
        if (place[way].size == size && memcmp(place[way].word, word, size) == 0)
            return &place[way];
    return NULL;
}

/* The empty one, else either in turn: to keep an order would touch both lines. */
static struct long_entry *place_to_take(struct long_entry *place, unsigned turn)
{
    return place[0].size == 0 ? place : &place[turn & 1];
}

static void remember_long(struct long_entry *place, const uint8_t *word, unsigned size, const uint8_t *tokens, unsigned count,
                          unsigned token_size)
{
    memcpy(place->word, word, size);
    place->size = (uint8_t)size;
    place->count = (uint8_t)count;
    keep_tokens(place->tokens, tokens, count, token_size);
}

/* ---- what was missed in a round ---- */

/* Another part, if there is room for it. text NULL: it is one token already. */
static struct part *new_part(struct og_state *state, unsigned *parts, unsigned *lanes, const uint8_t *text, unsigned size)
{
    unsigned more = lanes_for(size);
    if (*parts == MOST_PARTS || more > MOST_PART_LANES - *lanes)
        return NULL;
    struct part *p = &state->parts[(*parts)++];
    p->text = text;
    p->size = size;
    p->lanes = more;
    p->token = state->part_tokens + LANES + *lanes;
    p->pair = state->part_pairs + LANES + *lanes;
    *lanes += more;
    return p;
}

/* Divides a word into parts to be merged, as far as there is room for them; else the word waits until it is written. */
static void divide(struct og_state *state, struct missed *m, const uint8_t *word, unsigned *parts, unsigned *lanes)
{
    unsigned first = *parts, first_lane = *lanes;
    for (unsigned at = 0, n = m->first_part; at < m->size; at += n) {
        if (at)
            n = (unsigned)og_part_size(state->vocabulary, word, at, m->size);
        if (n > OG_SHORT_WORD || !new_part(state, parts, lanes, word + at, n)) {
            *parts = first;
            *lanes = first_lane;
            return;
        }
    }
    m->first = first;
    m->count = *parts - first;
}

/* Looks up in the vocabulary what was missed, and merges together what is no token. */
void og_resolve(struct og_state *state, const struct batch *batch)
{
    const struct og_vocabulary *v = state->vocabulary;
    unsigned parts = 0, lanes = 0;
    state->part_tokens[LANES - 1] = NO_TOKEN;
    for (unsigned i = 0; i < state->missed_count; i++) {
        struct missed *m = &state->missed[i];
        const uint8_t *word = batch->text + batch->starts[m->span];
        m->size = batch->starts[m->span + 1] - batch->starts[m->span];
        m->first_part = (unsigned)og_part_size(v, word, 0, m->size);
        m->count = 0;
        m->place = NULL;
        if (m->first_part == m->size && m->size <= KEY)
            og_prefetch_key(v, m->key);
        if (m->size > KEY ? m->size <= LONG_KEY : m->size > most_tokens(state->token_size) && was_spilled(state, m->key)) {
            m->place = long_place(state, word, m->size);
            __builtin_prefetch(&m->place[0]);
            __builtin_prefetch(&m->place[1]);
        }
    }
    for (unsigned i = 0; i < state->missed_count; i++) {
        struct missed *m = &state->missed[i];
        const uint8_t *word = batch->text + batch->starts[m->span];
        if (m->place && find_long(m->place, word, m->size))
            continue;
        uint32_t whole = NO_TOKEN;
        if (m->first_part == m->size) /* no token reaches from one part into another, so it may be one */
            whole = m->size <= KEY ? og_find_key(v, m->key, m->size) : og_find_word(v, word, m->size);
        if (whole == NO_TOKEN) {
            divide(state, m, word, &parts, &lanes);
            continue;
        }
        struct part *p = new_part(state, &parts, &lanes, NULL, 1);
        if (p) {
            m->first = parts - 1;
            m->count = 1;
            p->live = 1;
            p->token[0] = whole;
            p->token[LANES - 1] = NO_TOKEN;
        }
    }
    state->tier.merge(v, state->parts, parts);
}

/* Writes a word that was missed, and remembers it. */
uint8_t *og_put_missed(struct og_state *state, struct batch *batch, const struct missed *m, uint8_t *out)
{
    const uint8_t *word = batch->text + batch->starts[m->span];
    unsigned token_size = state->token_size;
    uint8_t *end = out;
    if (m->place) {
        const struct long_entry *entry = find_long(m->place, word, m->size);
        if (entry) {
            if (token_size == 2) { /* all that there is room for: there is slack */
                memcpy(end, entry->tokens, sizeof entry->tokens);
                return end + 2 * entry->count;
            }
            for (unsigned i = 0; i < entry->count; i++) {
                uint32_t token = 0;
                memcpy(&token, entry->tokens + i * kept_size(token_size), kept_size(token_size));
                put_token(&end, token, token_size);
            }
            return end;
        }
    }
    if (m->count == 0) {
        end = og_encode_word(state, word, m->size, &batch->scratch, out);
        if (UNLIKELY(batch->scratch.needed) && batch->too_long == batch->count)
            batch->too_long = m->span;
    }
    for (unsigned p = m->first; p < m->first + m->count; p++)
        end = og_put_part(state, &state->parts[p], end);

    unsigned count = (unsigned)((size_t)(end - out) / token_size);
    if (m->size <= KEY && count <= most_tokens(token_size)) {
        remember(m->bucket, m->key, out, count, token_size);
    } else if (m->size <= LONG_KEY && count <= most_long_tokens(token_size)) {
        if (m->size <= KEY)
            set_spilled(state, m->key);
        remember_long(place_to_take(m->place ? m->place : long_place(state, word, m->size), state->batches), word, m->size, out,
                      count, token_size);
    }
    return end;
}
