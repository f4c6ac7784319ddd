/* One word to tokens, as tiktoken does it: the whole word if it is a token, else the pair of the lowest rank is merged until
 * no pair is left, the leftmost first among equals. */
#include "cache.h"

/* The parts of a word are independent where two bytes meet that are in no token side by side: no merge ever joins them. In
 * Russian, Chinese and Thai four of five borders of characters are such places, and the mean part is shorter than two
 * bytes. Measured, r50k, new text: Chinese 46 to 64 MB/s, Russian 76 to 116, Thai 80 to 121. */
static uint64_t part_size(const struct og_vocabulary *v, const uint8_t *word, uint64_t size)
{
    uint64_t n = 1;
    while (n < size && may_cross(v, word[n - 1], word[n]))
        n++;
    return n;
}

/* The pairs of a language come again and again, and the vocabulary's table of them is larger than the second-level cache:
 * the latest answers are kept in 32 KiB. */
INLINE uint32_t pair_made(struct og_state *state, uint32_t left, uint32_t right)
{
    uint64_t key = pair_key(left, right), *kept = &state->pairs[pair_hash(key) >> (64 - PAIR_CACHE_BITS)];
    if (*kept >> 24 != key)
        *kept = key << 24 | find_pair(state->vocabulary, left, right);
    return (uint32_t)(*kept & NO_TOKEN);
}

/* Search and shift: for so few parts faster than a heap or sets of bits. */
static uint8_t *merge_short(struct og_state *state, const uint8_t *word, unsigned n, uint8_t *out)
{
    const struct og_vocabulary *v = state->vocabulary;
    const uint32_t *two = part(v, v->two_at);
    uint32_t token[OG_SHORT_WORD], pair[OG_SHORT_WORD]; /* pair[i]: what token[i] and token[i + 1] make */
    for (unsigned i = 0; i < n; i++)
        token[i] = v->byte[word[i]];
    for (unsigned i = 0; i + 1 < n; i++)
        pair[i] = two[(unsigned)word[i] << 8 | word[i + 1]];
    while (n > 1) {
        unsigned at = 0;
        uint32_t best = pair[0];
        for (unsigned i = 1; i + 1 < n; i++) {
            at = pair[i] < best ? i : at;
            best = pair[i] < best ? pair[i] : best;
        }
        if (best == NO_TOKEN)
            break;
        n--;
        token[at] = best;
        for (unsigned i = at + 1; i < n; i++)
            token[i] = token[i + 1];
        for (unsigned i = at; i + 1 < n; i++)
            pair[i] = pair[i + 1];
        if (at > 0)
            pair[at - 1] = pair_made(state, token[at - 1], token[at]);
        if (at + 1 < n)
            pair[at] = pair_made(state, token[at], token[at + 1]);
    }
    for (unsigned i = 0; i < n; i++)
        put_token(&out, token[i] + state->first_id, state->token_size);
    return out;
}

/* One merge of a word: the lowest pair, the leftmost among equals. False when there is none. */
static bool merge_once(struct missed *m)
{
    unsigned at = 0, n = m->count;
    uint32_t best = NO_TOKEN;
    for (unsigned i = 0; i + 1 < n; i++) {
        at = m->pair[i] < best ? i : at;
        best = m->pair[i] < best ? m->pair[i] : best;
    }
    if (best == NO_TOKEN)
        return false;
    m->count = --n;
    m->at = at;
    m->token[at] = best;
    for (unsigned i = at + 1; i < n; i++) {
        m->token[i] = m->token[i + 1];
        m->pair[i - 1] = m->pair[i];
    }
    m->left = at > 0 ? pair_key(m->token[at - 1], best) : NO_PAIR;
    m->right = at + 1 < n ? pair_key(best, m->token[at + 1]) : NO_PAIR;
    return true;
}

/* Where a pair's answer is or will be kept; on the way from memory if it is not there yet. */
static void fetch_group(struct og_state *state, uint64_t key)
{
    const struct og_vocabulary *v = state->vocabulary;
    const uint16_t *groups = part(v, v->groups_at);
    if (key != NO_PAIR && state->pairs[pair_hash(key) >> (64 - PAIR_CACHE_BITS)] >> 24 != key)
        __builtin_prefetch(&groups[pair_hash(key) >> (64 - v->group_bits)]);
}

static void fetch_pair(struct og_state *state, uint64_t key)
{
    if (key != NO_PAIR && state->pairs[pair_hash(key) >> (64 - PAIR_CACHE_BITS)] >> 24 != key)
        __builtin_prefetch(pair_entry(state->vocabulary, pair_hash(key)));
}

/* Short words, one merge of each in turn, in three steps with a prefetch between them: the vocabulary is larger than the
 * second-level cache, and so the words wait for it together. */
void og_merge_together(struct og_state *state, struct missed *const *words, unsigned count)
{
    const struct og_vocabulary *v = state->vocabulary;
    const uint32_t *two = part(v, v->two_at);
    struct missed *left[MOST_MISSED];
    for (unsigned i = 0; i < count; i++) {
        struct missed *m = words[i];
        const uint8_t *word = (const uint8_t *)m->key;
        for (unsigned k = 0; k < m->size; k++)
            m->token[k] = v->byte[word[k]];
        for (unsigned k = 0; k + 1 < m->size; k++)
            m->pair[k] = two[(unsigned)word[k] << 8 | word[k + 1]];
        m->count = m->size;
        left[i] = m;
    }
    while (count) {
        unsigned merged = 0;
        for (unsigned i = 0; i < count; i++)
            if (merge_once(left[i])) {
                fetch_group(state, left[i]->left);
                fetch_group(state, left[i]->right);
                left[merged++] = left[i];
            }
        count = merged;
        for (unsigned i = 0; i < count; i++) {
            fetch_pair(state, left[i]->left);
            fetch_pair(state, left[i]->right);
        }
        for (unsigned i = 0; i < count; i++) {
            struct missed *m = left[i];
            if (m->left != NO_PAIR)
                m->pair[m->at - 1] = pair_made(state, m->token[m->at - 1], m->token[m->at]);
            if (m->right != NO_PAIR)
                m->pair[m->at] = pair_made(state, m->token[m->at], m->token[m->at + 1]);
        }
    }
}

/* A heap of pairs, by rank and then by place. An entry is stale when the tokens at its place make another pair by then. */
struct heap {
    uint64_t *entries;
    uint64_t count;
};

static void push(struct heap *h, uint64_t entry)
{
    uint64_t at = h->count++;
    while (at && h->entries[(at - 1) / 2] > entry) {
        h->entries[at] = h->entries[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    h->entries[at] = entry;
}

static uint64_t pop(struct heap *h)
{
    uint64_t top = h->entries[0], moved = h->entries[--h->count], at = 0, child;
    while ((child = 2 * at + 1) < h->count) {
        child += child + 1 < h->count && h->entries[child + 1] < h->entries[child];
        if (h->entries[child] >= moved)
            break;
        h->entries[at] = h->entries[child];
        at = child;
    }
    h->entries[at] = moved;
    return top;
}

#define NONE UINT32_MAX
#define PLACE_BITS 32

/* scratch: three entries of the heap a byte (n - 1 at first, and two for each of n - 1 merges), and three numbers. */
static uint8_t *merge_long(struct og_state *state, const uint8_t *word, uint32_t n, void *scratch, uint8_t *out)
{
    const struct og_vocabulary *v = state->vocabulary;
    struct heap heap = {scratch, 0};
    uint32_t *token = (uint32_t *)(heap.entries + 3 * (uint64_t)n), *next = token + n, *previous = next + n;
    for (uint32_t i = 0; i < n; i++) {
        token[i] = v->byte[word[i]];
        next[i] = i + 1 < n ? i + 1 : NONE;
        previous[i] = i ? i - 1 : NONE;
    }
    for (uint32_t i = 0; i + 1 < n; i++) {
        uint32_t made = pair_made(state, token[i], token[i + 1]);
        if (made != NO_TOKEN)
            push(&heap, (uint64_t)made << PLACE_BITS | i);
    }
    while (heap.count) {
        uint64_t top = pop(&heap);
        uint32_t made = (uint32_t)(top >> PLACE_BITS), left = (uint32_t)top;
        if (token[left] == NO_TOKEN || next[left] == NONE || pair_made(state, token[left], token[next[left]]) != made)
            continue;
        uint32_t right = next[left], after = next[right], before_left = previous[left], pair;
        token[left] = made;
        token[right] = NO_TOKEN;
        next[left] = after;
        if (after != NONE) {
            previous[after] = left;
            pair = pair_made(state, made, token[after]);
            if (pair != NO_TOKEN)
                push(&heap, (uint64_t)pair << PLACE_BITS | left);
        }
        if (before_left != NONE) {
            pair = pair_made(state, token[before_left], made);
            if (pair != NO_TOKEN)
                push(&heap, (uint64_t)pair << PLACE_BITS | before_left);
        }
    }
    for (uint32_t i = 0; i != NONE; i = next[i])
        put_token(&out, token[i] + state->first_id, state->token_size);
    return out;
}

/* The caller has made sure of room for a token a byte and OG_SLACK. Where the scratch is too small it says so; the tokens are
 * of no use then. */
uint8_t *og_encode_word(struct og_state *state, const uint8_t *word, uint64_t size, struct scratch *scratch, uint8_t *out)
{
    const struct og_vocabulary *v = state->vocabulary;
    uint32_t whole = og_find_word(v, word, size);
    if (whole != NO_TOKEN) {
        put_token(&out, whole + state->first_id, state->token_size);
        return out;
    }
    return og_merge_word(state, word, size, scratch, out);
}

uint8_t *og_merge_word(struct og_state *state, const uint8_t *word, uint64_t size, struct scratch *scratch, uint8_t *out)
{
    const struct og_vocabulary *v = state->vocabulary;
    while (size) {
        uint64_t n = part_size(v, word, size);
        if (n == 1) {
            put_token(&out, v->byte[*word] + state->first_id, state->token_size);
        } else if (n <= OG_SHORT_WORD) {
            out = merge_short(state, word, (unsigned)n, out);
        } else if (n * OG_SCRATCH_PER_BYTE <= scratch->size) {
            out = merge_long(state, word, (uint32_t)n, scratch->memory, out);
        } else if (n * OG_SCRATCH_PER_BYTE > scratch->needed) {
            scratch->needed = n * OG_SCRATCH_PER_BYTE;
        }
        word += n;
        size -= n;
    }
    return out;
}
