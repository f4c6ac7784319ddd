/* One word to tokens, as tiktoken does it: the whole word if it is a token, else the pair of the lowest rank is merged until
 * no pair is left, the leftmost first among equals. */
#include "cache.h"

/* The parts of a word are independent where no token reaches from one into the other: no merge ever joins them. By pairs of
 * bytes alone, in r50k four of five borders of characters in Russian, Chinese and Thai are such places (Chinese 46 to 64
 * MB/s, Russian 76 to 116, Thai 80 to 121); by three bytes and three it is so in cl100k (Chinese 97, Thai 91 % of borders)
 * and for Chinese in o200k (74 %), where pairs alone divide next to nothing. */
uint64_t og_part_size(const struct og_vocabulary *v, const uint8_t *word, uint64_t at, uint64_t size)
{
    uint64_t end = at + 1;
    while (end < size && may_cross(v, word, end, size))
        end++;
    return end - at;
}

/* What a pair makes. The pairs of a language come again and again, and the vocabulary's table of them is larger than the
 * second-level cache: the latest answers are kept in 64 KiB. */
INLINE uint32_t pair_made(struct og_state *state, uint32_t left, uint32_t right)
{
    const struct og_vocabulary *v = state->vocabulary;
    uint64_t key = pair_key(left, right), hash = pair_hash(key);
    uint32_t group = *pair_group(v, hash);
    if (!(group & group_bit(hash)))
        return NO_TOKEN;
    uint64_t *kept = &state->pairs[hash >> (64 - PAIR_CACHE_BITS)];
    if (*kept >> 24 != key) {
        uint64_t entry = *pair_entry(v, hash, group);
        *kept = entry >> 24 == key ? entry : key << 24 | NO_TOKEN;
    }
    return (uint32_t)(*kept & NO_TOKEN);
}

void og_begin_part(const struct og_vocabulary *v, struct part *p, const uint8_t *text, unsigned size)
{
    const uint32_t *two = part(v, v->two_at);
    for (unsigned i = 0; i < size; i++)
        p->token[i] = v->byte[text[i]];
    for (unsigned i = 0; i + 1 < size; i++)
        p->pair[i] = two[(unsigned)text[i] << 8 | text[i + 1]];
    p->count = size;
}

/* One merge: the lowest pair, the leftmost among equals. False when there is none. Search and shift: for so few tokens
 * faster than a heap or sets of bits. */
static bool merge_once(struct part *p)
{
    uint32_t *const token = p->token, *const pair = p->pair;
    unsigned at = 0, n = p->count;
    uint32_t best = NO_TOKEN;
    for (unsigned i = 0; i + 1 < n; i++) {
        at = pair[i] < best ? i : at;
        best = pair[i] < best ? pair[i] : best;
    }
    if (best == NO_TOKEN)
        return false;
    p->count = --n;
    p->at = at;
    token[at] = best;
    for (unsigned i = at + 1; i < n; i++) {
        token[i] = token[i + 1];
        pair[i - 1] = pair[i];
    }
    p->left = at > 0 ? pair_key(token[at - 1], best) : NO_PAIR;
    p->right = at + 1 < n ? pair_key(best, token[at + 1]) : NO_PAIR;
    return true;
}

static void look_at_new_pairs(struct og_state *state, struct part *p)
{
    if (p->left != NO_PAIR)
        p->pair[p->at - 1] = pair_made(state, p->token[p->at - 1], p->token[p->at]);
    if (p->right != NO_PAIR)
        p->pair[p->at] = pair_made(state, p->token[p->at], p->token[p->at + 1]);
}

static void fetch_group(const struct og_state *state, uint64_t key)
{
    if (key != NO_PAIR)
        __builtin_prefetch(pair_group(state->vocabulary, pair_hash(key)));
}
static void fetch_pair(const struct og_state *state, uint64_t key)
{
    uint64_t hash = pair_hash(key);
    uint32_t group = *pair_group(state->vocabulary, hash);
    if (group & group_bit(hash) && state->pairs[hash >> (64 - PAIR_CACHE_BITS)] >> 24 != key)
        __builtin_prefetch(pair_entry(state->vocabulary, hash, group));
}

/* One merge of each part in turn, in three steps with a prefetch between them: the vocabulary is larger than the
 * second-level cache, so that the parts wait for it together. English, r50k, new text: 260 to 295 MB/s. */
void og_merge_together(struct og_state *state, unsigned count)
{
    struct part *going[MOST_PARTS];
    for (unsigned i = 0; i < count; i++)
        going[i] = &state->parts[i];
    while (count) {
        unsigned merged = 0;
        for (unsigned i = 0; i < count; i++)
            if (merge_once(going[i])) {
                fetch_group(state, going[i]->left);
                fetch_group(state, going[i]->right);
                going[merged++] = going[i];
            }
        count = merged;
        for (unsigned i = 0; i < count; i++) {
            if (going[i]->left != NO_PAIR)
                fetch_pair(state, going[i]->left);
            if (going[i]->right != NO_PAIR)
                fetch_pair(state, going[i]->right);
        }
        for (unsigned i = 0; i < count; i++)
            look_at_new_pairs(state, going[i]);
    }
}

static uint8_t *merge_short(struct og_state *state, const uint8_t *text, unsigned size, uint8_t *out)
{
    uint32_t token[OG_SHORT_WORD], pair[OG_SHORT_WORD];
    struct part p = {.token = token, .pair = pair};
    og_begin_part(state->vocabulary, &p, text, size);
    while (merge_once(&p))
        look_at_new_pairs(state, &p);
    for (unsigned i = 0; i < p.count; i++)
        put_token(&out, token[i] + state->first_id, state->token_size);
    return out;
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

/* The caller has made sure of room for a token a byte and OG_SLACK. Where the scratch is too small it says so; the tokens
 * are of no use then. */
uint8_t *og_encode_word(struct og_state *state, const uint8_t *word, uint64_t size, struct scratch *scratch, uint8_t *out)
{
    const struct og_vocabulary *v = state->vocabulary;
    uint32_t whole = og_find_word(v, word, size);
    if (whole != NO_TOKEN) {
        put_token(&out, whole + state->first_id, state->token_size);
        return out;
    }
    for (uint64_t at = 0, n; at < size; at += n) {
        n = og_part_size(v, word, at, size);
        if (n <= OG_SHORT_WORD)
            out = merge_short(state, word + at, (unsigned)n, out);
        else if (n * OG_SCRATCH_PER_BYTE <= scratch->size)
            out = merge_long(state, word + at, (uint32_t)n, scratch->memory, out);
        else if (n * OG_SCRATCH_PER_BYTE > scratch->needed)
            scratch->needed = n * OG_SCRATCH_PER_BYTE;
    }
    return out;
}
