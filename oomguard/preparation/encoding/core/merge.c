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

static uint8_t *merge_short(struct og_state *state, const uint8_t *text, unsigned size, uint8_t *out)
{
    uint32_t token[LANES + OG_SHORT_WORD + LANES];
    int32_t pair[LANES + OG_SHORT_WORD + LANES];
    struct part p = {.text = text, .size = size, .lanes = lanes_for(size), .token = token + LANES, .pair = pair + LANES};
    p.token[-1] = NO_TOKEN;
    state->tier.merge(state->vocabulary, &p, 1);
    return og_put_part(state, &p, out);
}

uint8_t *og_put_part(const struct og_state *state, const struct part *p, uint8_t *out)
{
    for (uint64_t live = p->live; live; live &= live - 1)
        put_token(&out, p->token[lowest(live)] + state->first_id, state->token_size);
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
        uint32_t made = find_pair(v, token[i], token[i + 1]);
        if (made != NO_TOKEN)
            push(&heap, (uint64_t)made << PLACE_BITS | i);
    }
    while (heap.count) {
        uint64_t top = pop(&heap);
        uint32_t made = (uint32_t)(top >> PLACE_BITS), left = (uint32_t)top;
        if (token[left] == NO_TOKEN || next[left] == NONE || find_pair(v, token[left], token[next[left]]) != made)
            continue;
        uint32_t right = next[left], after = next[right], before_left = previous[left], pair;
        token[left] = made;
        token[right] = NO_TOKEN;
        next[left] = after;
        if (after != NONE) {
            previous[after] = left;
            pair = find_pair(v, made, token[after]);
            if (pair != NO_TOKEN)
                push(&heap, (uint64_t)pair << PLACE_BITS | left);
        }
        if (before_left != NONE) {
            pair = find_pair(v, token[before_left], made);
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
    uint64_t first_part = og_part_size(v, word, 0, size);
    uint32_t whole = first_part == size ? og_find_word(v, word, size) : NO_TOKEN;
    if (whole != NO_TOKEN) {
        put_token(&out, whole + state->first_id, state->token_size);
        return out;
    }
    for (uint64_t at = 0, n = first_part; at < size; at += n) {
        if (at)
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
