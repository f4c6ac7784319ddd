/* The vocabulary block: built once from a rank file, read only from then on, without pointers, so that it can be mapped. */
#include "internal.h"

static const char MAGIC[16] = "oomguard-ranks3";

#define NO_WORD UINT32_MAX /* an empty place in the table of words: 12 bits of the hash, 20 of the token */
#define WORD_TAG 0xFFF00000u
#define NO_ENTRY UINT64_MAX

/* ---- words ---- */

static uint64_t word_hash(const uint8_t *word, uint64_t size)
{
    uint64_t hash = size * UINT64_C(0x9E3779B97F4A7C15), tail = 0;
    for (; size >= 8; word += 8, size -= 8)
        hash = (hash ^ load64(word)) * UINT64_C(0xC2B2AE3D27D4EB4F), hash ^= hash >> 32;
    for (uint64_t i = 0; i < size; i++)
        tail |= (uint64_t)word[i] << (8 * i);
    hash = (hash ^ tail) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

static void short_key(const uint8_t *word, uint64_t size, uint64_t key[2])
{
    uint8_t bytes[KEY];
    memset(bytes, 0xFF, KEY);
    memcpy(bytes, word, size);
    memcpy(key, bytes, KEY);
}

void og_prefetch_key(const struct og_vocabulary *v, const uint64_t key[2])
{
    const uint32_t *words = part(v, v->words_at);
    uint64_t hash = key_hash(key[0], key[1]);
    __builtin_prefetch(&words[(hash ^ hash >> 32) & ((UINT64_C(1) << v->word_bits) - 1)]);
}

/* A word of at most 16 bytes whose key is at hand: its hash has two multiplications, its comparison no loop. (The text of
 * tokens may hold 0xFF, but then it has another size or another key.) */
uint32_t og_find_key(const struct og_vocabulary *v, const uint64_t key[2], uint64_t size)
{
    const uint32_t *words = part(v, v->words_at), *offsets = token_offsets(v);
    uint64_t hash = key_hash(key[0], key[1]), mask = (UINT64_C(1) << v->word_bits) - 1;
    uint32_t tag = (uint32_t)(hash >> 32) & WORD_TAG;
    hash ^= hash >> 32; /* the low bits of a product know little of the key's end */
    for (uint64_t at = hash & mask; words[at] != NO_WORD; at = (at + 1) & mask) {
        if ((words[at] & WORD_TAG) != tag)
            continue;
        uint32_t token = words[at] & ~WORD_TAG;
        const uint8_t *text = token_text(v) + offsets[token];
        if (offsets[token + 1] - offsets[token] == size && (load64(text) | og_beyond[size][0]) == key[0] &&
            (load64(text + 8) | og_beyond[size][1]) == key[1])
            return token;
    }
    return NO_TOKEN;
}

uint32_t og_find_word(const struct og_vocabulary *v, const uint8_t *word, uint64_t size)
{
    if (size > v->longest)
        return NO_TOKEN;
    if (size <= KEY) {
        uint64_t key[2];
        short_key(word, size, key);
        return og_find_key(v, key, size);
    }
    const uint32_t *words = part(v, v->words_at), *offsets = token_offsets(v);
    uint64_t hash = word_hash(word, size), mask = (UINT64_C(1) << v->word_bits) - 1;
    uint32_t tag = (uint32_t)(hash >> 32) & WORD_TAG;
    for (uint64_t at = hash & mask; words[at] != NO_WORD; at = (at + 1) & mask) {
        uint32_t token = words[at] & ~WORD_TAG;
        if ((words[at] & WORD_TAG) == tag && offsets[token + 1] - offsets[token] == size &&
            memcmp(token_text(v) + offsets[token], word, size) == 0)
            return token;
    }
    return NO_TOKEN;
}

/* False if the word is there already. */
static bool add_word(struct og_vocabulary *v, uint32_t *words, uint32_t token)
{
    const uint32_t *offsets = token_offsets(v);
    const uint8_t *word = token_text(v) + offsets[token];
    uint32_t size = offsets[token + 1] - offsets[token];
    if (og_find_word(v, word, size) != NO_TOKEN)
        return false;
    uint64_t hash, key[2], mask = (UINT64_C(1) << v->word_bits) - 1, at;
    if (size <= KEY) {
        short_key(word, size, key);
        hash = key_hash(key[0], key[1]);
        at = (hash ^ hash >> 32) & mask;
    } else {
        hash = word_hash(word, size);
        at = hash & mask;
    }
    while (words[at] != NO_WORD)
        at = (at + 1) & mask;
    words[at] = ((uint32_t)(hash >> 32) & WORD_TAG) | token;
    return true;
}

/* ---- the rank file ---- */

struct line {
    uint64_t size; /* of the token, in bytes */
    uint32_t rank;
};

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Reads the line at *at and goes past it. out: room for the token, or NULL. */
static bool read_line(const char *ranks, uint64_t size, uint64_t *at, uint8_t *out, struct line *line)
{
    uint64_t i = *at;
    uint32_t held = 0, bits = 0;
    unsigned characters = 0;
    line->size = 0;
    for (int value; i < size && (value = base64_value(ranks[i])) >= 0; i++, characters++) {
        held = held << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            if (out)
                out[line->size] = (uint8_t)(held >> bits);
            line->size++;
        }
    }
    for (; i < size && ranks[i] == '='; i++)
        characters++;
    if (line->size == 0 || characters % 4 || i >= size || ranks[i++] != ' ')
        return false;
    uint64_t rank = 0, first = i;
    for (; i < size && ranks[i] >= '0' && ranks[i] <= '9' && rank < MOST_TOKENS; i++)
        rank = rank * 10 + (uint64_t)(ranks[i] - '0');
    if (i == first || rank >= MOST_TOKENS - 1)
        return false;
    if (i < size && ranks[i] == '\r')
        i++;
    if (i < size && ranks[i++] != '\n')
        return false;
    line->rank = (uint32_t)rank;
    *at = i;
    return true;
}

/* ---- sizes ---- */

struct sizes {
    uint64_t tokens, text, splits;
    uint32_t longest, word_bits, six_bits;
};

static uint32_t bits_for(uint64_t places)
{
    uint32_t bits = 4;
    while ((UINT64_C(1) << bits) < places)
        bits++;
    return bits;
}

static uint64_t measure(const char *ranks, uint64_t size, struct sizes *sizes)
{
    struct line line;
    uint64_t number = 0;
    *sizes = (struct sizes){0};
    for (uint64_t at = 0; at < size;) {
        number++;
        if (!read_line(ranks, size, &at, NULL, &line) || line.size > UINT32_MAX / 2)
            return number;
        sizes->text += line.size;
        sizes->splits += line.size - 1;
        sizes->tokens = line.rank + 1 > sizes->tokens ? line.rank + 1 : sizes->tokens;
        sizes->longest = line.size > sizes->longest ? (uint32_t)line.size : sizes->longest;
    }
    sizes->word_bits = bits_for(2 * number);
    sizes->six_bits = bits_for(16 * number); /* few more tokens than twice as many sixes: 6 to 14 % of bits are set */
    return number == 0 || sizes->text > UINT32_MAX / 2 ? number + 1 : 0;
}

static uint64_t aligned(uint64_t size) { return (size + 63) & ~UINT64_C(63); }
static uint32_t group_bits_for(uint64_t pairs) { return bits_for(pairs / 4); }
static uint32_t pair_bits_for(uint64_t pairs) { return bits_for(pairs + pairs / 9); } /* at most 90 % full */

#define MORE_PAIR_BITS 2 /* tried when the pairs cannot be placed */

uint64_t og_vocabulary_measure(const char *ranks, uint64_t size, uint64_t *block_size, uint64_t *scratch_size)
{
    struct sizes sizes;
    uint64_t wrong = measure(ranks, size, &sizes);
    if (wrong)
        return wrong;
    *block_size = aligned(sizeof(struct og_vocabulary)) + aligned(4 * (sizes.tokens + 1)) + aligned(sizes.text + 16) +
                  aligned(4ull << sizes.word_bits) + aligned(4 << 16) + aligned(2 * CROSSES_BYTES) +
                  aligned((1ull << sizes.six_bits) / 8) +
                  aligned(4ull << group_bits_for(sizes.splits)) + aligned(8ull << (pair_bits_for(sizes.splits) + MORE_PAIR_BITS));
    *scratch_size = aligned(8 * sizes.splits) * 2 + aligned(4ull << (group_bits_for(sizes.splits) + 1)) * 2;
    return 0;
}

/* ---- pairs: a perfect hash by displacement ---- */

/* Pairs of one group are moved together, by the smallest displacement that gives each a free place; the largest groups come
 * first, while there is room. (Belazzougui, Botelho, Dietzfelbinger: Hash, displace, and compress, ESA 2009.) */
static bool place_group(uint64_t *table, uint64_t mask, const uint64_t *pairs, uint32_t count, uint32_t *group)
{
    for (uint32_t d = 0; d <= UINT16_MAX; d++) {
        uint32_t placed = 0;
        for (; placed < count; placed++) {
            uint64_t *entry = &table[pair_place(pair_hash(pairs[placed] >> 24), d) & mask];
            if (*entry != NO_ENTRY)
                break;
            *entry = pairs[placed];
        }
        if (placed == count) {
            *group = d;
            for (uint32_t i = 0; i < count; i++)
                *group |= group_bit(pair_hash(pairs[i] >> 24));
            return true;
        }
        while (placed-- > 0)
            table[pair_place(pair_hash(pairs[placed] >> 24), d) & mask] = NO_ENTRY;
    }
    return false;
}

/* pairs: key << 24 | token. sorted: as much room again; first, order: a number for each group and one more. */
static bool place_pairs(struct og_vocabulary *v, const uint64_t *pairs, uint64_t count, uint64_t *sorted, uint32_t *first,
                        uint32_t *order)
{
    uint32_t *groups = (uint32_t *)((char *)v + v->groups_at);
    uint64_t *table = (uint64_t *)((char *)v + v->pairs_at);
    uint32_t group_count = 1u << v->group_bits, largest = 0, placed = 0;
    uint64_t mask = (UINT64_C(1) << v->pair_bits) - 1;
    memset(first, 0, 4 * ((size_t)group_count + 1));
    for (uint64_t i = 0; i < count; i++)
        first[(pair_hash(pairs[i] >> 24) >> (64 - v->group_bits)) + 1]++;
    for (uint32_t g = 0; g < group_count; g++) {
        largest = first[g + 1] > largest ? first[g + 1] : largest;
        first[g + 1] += first[g];
    }
    memcpy(order, first, 4 * (size_t)group_count);
    for (uint64_t i = 0; i < count; i++)
        sorted[order[pair_hash(pairs[i] >> 24) >> (64 - v->group_bits)]++] = pairs[i];
    for (uint64_t i = 0; i <= mask; i++)
        table[i] = NO_ENTRY;
    for (uint32_t size = largest; size > 0; size--)
        for (uint32_t g = 0; g < group_count; g++)
            if (first[g + 1] - first[g] == size) {
                if (!place_group(table, mask, sorted + first[g], size, &groups[g]))
                    return false;
                placed += size;
            }
    return placed == count;
}

/* Every way to divide a token into two tokens: what merging may join (tiktoken merges by bytes, so all of them count). */
static uint64_t find_pairs(const struct og_vocabulary *v, uint64_t *pairs)
{
    const uint32_t *offsets = token_offsets(v);
    uint64_t count = 0;
    for (uint32_t token = 0; token < v->token_count; token++) {
        const uint8_t *text = token_text(v) + offsets[token];
        uint32_t size = offsets[token + 1] - offsets[token];
        for (uint32_t cut = 1; cut < size; cut++) {
            uint32_t left = og_find_word(v, text, cut), right;
            if (left == NO_TOKEN || (right = og_find_word(v, text + cut, size - cut)) == NO_TOKEN)
                continue;
            pairs[count++] = ((uint64_t)left << 20 | right) << 24 | token;
        }
    }
    return count;
}

/* ---- the block ---- */

/* The texts of tokens, by rank, whatever the order of lines. */
static const char *read_tokens(struct og_vocabulary *v, const char *ranks, uint64_t size)
{
    uint32_t *offsets = (uint32_t *)((char *)v + v->offsets_at);
    uint8_t *text = (uint8_t *)v + v->text_at;
    struct line line;
    for (uint64_t at = 0; at < size;) {
        read_line(ranks, size, &at, NULL, &line);
        if (offsets[line.rank + 1])
            return "a rank is given twice";
        offsets[line.rank + 1] = (uint32_t)line.size;
    }
    for (uint32_t token = 0; token < v->token_count; token++)
        offsets[token + 1] += offsets[token];
    for (uint64_t at = 0; at < size;) {
        uint64_t start = at;
        read_line(ranks, size, &at, NULL, &line);
        read_line(ranks, size, &start, text + offsets[line.rank], &line);
    }
    return NULL;
}

static void set_bit(uint8_t *bits, uint64_t n) { bits[n >> 3] |= (uint8_t)(1u << (n & 7)); }

static const char *index_tokens(struct og_vocabulary *v)
{
    const uint32_t *offsets = token_offsets(v);
    uint32_t *words = (uint32_t *)((char *)v + v->words_at), *two = (uint32_t *)((char *)v + v->two_at);
    uint8_t *crosses = (uint8_t *)v + v->crosses_at, *sixes = (uint8_t *)v + v->sixes_at;
    memset(words, 0xFF, 4ull << v->word_bits);
    for (uint32_t i = 0; i < 1 << 16; i++)
        two[i] = NO_TOKEN;
    for (uint32_t i = 0; i < 256; i++)
        v->byte[i] = NO_TOKEN;
    for (uint32_t token = 0; token < v->token_count; token++) {
        const uint8_t *text = token_text(v) + offsets[token];
        uint32_t size = offsets[token + 1] - offsets[token];
        if (size == 0)
            continue;
        if (!add_word(v, words, token))
            return "a token is given twice";
        if (size == 1)
            v->byte[text[0]] = token;
        if (size == 2)
            two[(unsigned)text[0] << 8 | text[1]] = token;
        for (uint32_t i = 1; i < size; i++) {
            unsigned pair = (unsigned)text[i - 1] << 8 | text[i];
            set_bit(crosses, pair);
            if (i < 3 || size - i < 3)
                set_bit(crosses + CROSSES_BYTES, pair);
            else
                set_bit(sixes, six_hash(text + i - 3) >> (64 - v->six_bits));
        }
    }
    for (uint32_t i = 0; i < 256; i++)
        if (v->byte[i] == NO_TOKEN)
            return "a byte has no token of its own";
    return NULL;
}

uint64_t og_vocabulary_build(const char *ranks, uint64_t size, void *block, uint64_t block_size, void *scratch,
                             uint64_t scratch_size, const char **what)
{
    struct og_vocabulary *v = block;
    struct sizes sizes;
    uint64_t needed, scratch_needed, at;
    if (og_vocabulary_measure(ranks, size, &needed, &scratch_needed) || needed > block_size || scratch_needed > scratch_size) {
        *what = "the rank file was not measured";
        return 0;
    }
    measure(ranks, size, &sizes);
    v->token_count = (uint32_t)sizes.tokens;
    v->longest = sizes.longest;
    v->word_bits = sizes.word_bits;
    v->six_bits = sizes.six_bits;
    v->offsets_at = aligned(sizeof *v);
    v->text_at = v->offsets_at + aligned(4 * (sizes.tokens + 1));
    v->words_at = v->text_at + aligned(sizes.text + 16);
    v->two_at = v->words_at + aligned(4ull << v->word_bits);
    v->crosses_at = v->two_at + aligned(4 << 16);
    v->sixes_at = v->crosses_at + aligned(2 * CROSSES_BYTES);
    v->groups_at = v->sixes_at + aligned((1ull << v->six_bits) / 8);
    if ((*what = read_tokens(v, ranks, size)) || (*what = index_tokens(v)))
        return 0;

    uint64_t *pairs = scratch, *sorted = pairs + aligned(8 * sizes.splits) / 8;
    uint32_t *first = (uint32_t *)(sorted + aligned(8 * sizes.splits) / 8);
    uint32_t *order = first + aligned(4ull << (group_bits_for(sizes.splits) + 1)) / 4;
    uint64_t count = find_pairs(v, pairs);
    v->group_bits = group_bits_for(count);
    v->pairs_at = v->groups_at + aligned(4ull << v->group_bits);
    for (v->pair_bits = pair_bits_for(count); !place_pairs(v, pairs, count, sorted, first, order); v->pair_bits++)
        if (v->pair_bits == pair_bits_for(count) + MORE_PAIR_BITS) {
            *what = "the pairs of tokens found no places";
            return 0;
        }
    at = v->pairs_at + aligned(8ull << v->pair_bits);
    v->size = at;
    memcpy(v->magic, MAGIC, sizeof v->magic);
    return at;
}

int og_vocabulary_check(const void *block, uint64_t size)
{
    const struct og_vocabulary *v = block;
    return size >= sizeof *v && memcmp(v->magic, MAGIC, sizeof v->magic) == 0 && v->size <= size &&
           v->pairs_at < v->size && v->pair_bits < 32 && v->pairs_at + (8ull << v->pair_bits) <= v->size;
}
