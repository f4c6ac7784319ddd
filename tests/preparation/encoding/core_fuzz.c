/* Tries the core with hostile text, compiled with AddressSanitizer and UndefinedBehaviorSanitizer.
 *
 * Every input is encoded whole and in windows, by every tier, with input, output and ends in buffers of exactly their size on
 * the heap, so that one byte too far is an error; all must give the same tokens, or the same place of ill-formed text.
 *
 *     core_fuzz RANKS family switches seconds seed        random inputs, made of pieces that trip tokenizers
 *     clang -fsanitize=fuzzer -DOG_LIBFUZZER ...          coverage-guided; RANKS from $OOMGUARD_FUZZ_RANKS
 */
#define _POSIX_C_SOURCE 200809L
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api.h"

static const char *const PIECES[] = {
    "a", "Z", "ab", "word", "Word", "WORD", "wOrD", "1", "12", "1234", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\f", "\x1c", "'", "''",
    "'s", "'S", "'t", "'ll", "'LL", "'ve", "'re", "'m", "'d", "'\xc5\xbf", "\xc5\xbf", "/", "//", "\n/", ".", ",", "(", "((", "=", "-", "_",
    "\xc3\xa9", "\xc3\x89", "\xd0\x96", "\xd1\x8f", "\xe4\xb8\xad", "\xe3\x81\x82", "\xe0\xb8\x81", "\xe0\xb8\xb3", "\xe0\xa4\xbe", "\xcc\x81", "\xe2\x83\xa3", "\xef\xb8\x8f",
    "\xc7\x85", "\xca\xb0", "\xc2\xaa", "\xc2\xa0", "\xc2\x85", "\xe1\x9a\x80", "\xe2\x80\x83", "\xe2\x80\xa8", "\xe3\x80\x80", "\xd9\xa3", "\xc2\xb2", "\xe2\x85\xa7",
    "\xf0\x9f\x98\x80", "\xf0\x9d\x90\x80", "\xf4\x8f\xbf\xbf", "\xef\xbb\xbf", "\xff", "\xc0\x80", "\xe4\xb8", "\xf0\x9f\x98", "\x80", "\xed\xa0\x80", "<|endoftext|>",
    "                                                                          ", "0000000000000000000000000000000000000000000000000000000000000000000",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "etaoinshrdluetaoinshrdlu", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    "\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97\xe4\xb8\xad\xe6\x96\x87\xe5\xad\x97",
    "\"", "\"\"", "\\", "\\n", "\\\"", "\\u00e9", "\\ud83d\\ude00", "\\ud83d", "{", "}\n{", "}\r\n",
    "Once upon a time, there were 12 people who didn't read the manual; they've all been well.\n",
};
enum { PIECE_COUNT = sizeof PIECES / sizeof *PIECES, MOST = 4096, CACHE_BITS = 8 };

static uint64_t seed;
static uint64_t below(uint64_t n)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed % n;
}

static void *zeroed(uint64_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!memory)
        abort();
    return memset(memory, 0, size);
}

struct outcome {
    int status;
    uint64_t error_at, count, end_count;
    uint32_t *tokens;
    int64_t *ends;
};

static void *copy_of(const void *data, uint64_t size)
{
    void *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    return memcpy(copy, data, size);
}

/* The text in windows of `window` bytes (larger ones where one is not enough), `room` tokens at a time. */
static struct outcome encode(void *state, const uint8_t *text, uint64_t size, uint64_t window, uint64_t room, const char *delimiter)
{
    struct outcome all = {0};
    uint64_t at = 0, reach = window, capacity = size + 70, scratch_size = 36 * (size + 1);
    all.tokens = malloc(4 * capacity);
    all.ends = malloc(8 * capacity);
    uint64_t *scratch = malloc(scratch_size + 8);
    uint8_t *mark = copy_of(delimiter, strlen(delimiter));
    uint32_t in_document = 0;
    for (;;) {
        uint64_t part = size - at < reach ? size - at : reach;
        uint8_t *piece = copy_of(text + at, part);
        uint32_t *out = malloc(4 * room);
        int64_t *ends = malloc(8);
        struct og_job job = {.text = piece, .text_size = part, .last = at + part == size, .tokens = out, .token_room = room, .ends = ends,
                             .end_room = 1, .tokens_before = (int64_t)all.count, .delimiter = mark, .delimiter_size = strlen(delimiter),
                             .end_of_text = 7, .in_document = in_document, .scratch = scratch, .scratch_size = scratch_size};
        all.status = og_encode(state, &job);
        if (all.count + job.token_count > 2 * capacity || job.consumed > part)
            abort();
        if (all.count + job.token_count > capacity) {
            capacity *= 2;
            all.tokens = realloc(all.tokens, 4 * capacity);
            all.ends = realloc(all.ends, 8 * capacity);
        }
        memcpy(all.tokens + all.count, out, 4 * job.token_count);
        memcpy(all.ends + all.end_count, ends, 8 * job.end_count);
        all.count += job.token_count;
        all.end_count += job.end_count;
        at += job.consumed;
        in_document = job.in_document;
        free(piece), free(out), free(ends);
        if (all.status == OG_DONE && at == size && !in_document && part == size - (at - job.consumed))
            break;
        if (all.status == OG_DONE) {
            reach = job.consumed ? window : 2 * reach + 1;
        } else if (all.status == OG_FULL) {
            room = job.token_count || job.consumed || job.end_count ? room : 2 * room;
        } else {
            all.error_at = at - job.consumed + job.error_at;
            break;
        }
    }
    free(scratch), free(mark);
    return all;
}

static void fail(const uint8_t *text, uint64_t size, const char *what)
{
    fprintf(stderr, "%s:", what);
    for (uint64_t i = 0; i < size; i++)
        fprintf(stderr, " %02x", text[i]);
    fprintf(stderr, "\n");
    abort();
}

/* The text as lines, and as strings of JSON, in buffers of exactly their size. */
static void try_json(const uint8_t *text, uint64_t size)
{
    uint8_t *json = copy_of(text, size), *said = malloc(size ? size : 1);
    uint64_t feeds = og_line_feeds(json, size), lines = og_json_lines(json, size), seen = 0;
    for (uint64_t i = 0; i < size; i++)
        seen += json[i] == '\n';
    if (feeds != seen || (lines && lines != feeds + (json[size - 1] != '\n')))
        fail(text, size, "lines are miscounted");
    for (uint64_t count = 0; count < 4; count++) {
        int64_t *offsets = malloc(8 * (count + 1));
        if (og_json_strings(json, size, said, size, offsets, count)) {
            for (uint64_t i = 0; i < count; i++)
                if (offsets[i] > offsets[i + 1])
                    fail(text, size, "a string ends before it begins");
            if ((uint64_t)offsets[count] > size || (og_utf8_prefix(json, size) == size &&
                                                    og_utf8_prefix(said, (uint64_t)offsets[count]) != (uint64_t)offsets[count]))
                fail(text, size, "a string is no UTF-8");
        }
        free(offsets);
    }
    if (size && og_json_strings(json, size, said, size - 1, NULL, 0))
        fail(text, size, "there is too little room");
    free(json), free(said);
}

static void *states[OG_TIERS];

/* Each stretch begins and ends where the next can go on, and what lies before the first ill-formed byte is all that is passed. */
static void find_denormal(const uint8_t *text, uint64_t size)
{
    uint8_t *exact = copy_of(text, size);
    uint64_t from = 0, begin = 0, end = 0, valid = og_utf8_prefix(exact, size);
    while (og_nfc_find(exact, size, from, &begin, &end)) {
        if (begin < from || end <= begin || end > size || (begin > from && exact[begin] >= 0x80) || (end < size && exact[end] >= 0x80))
            fail(text, size, "a stretch that is not NFC lies wrong");
        from = end;
    }
    if (valid < size && from <= valid)
        fail(text, size, "ill-formed text was passed as NFC");
    free(exact);
}

static void try_input(const uint8_t *text, uint64_t size, const char *delimiter)
{
    struct outcome first = {0};
    find_denormal(text, size);
    for (int tier = 0; tier < OG_TIERS; tier++)
        for (int cut = 0; states[tier] && cut < 2; cut++) {
            struct outcome o = encode(states[tier], text, size, cut ? 1 + below(150) : size, cut ? 65 + below(200) : size + 70, delimiter);
            if (!first.tokens) {
                first = o;
                continue;
            }
            bool same = o.status == first.status && o.error_at == first.error_at &&
                        (o.status != OG_DONE || (o.count == first.count && o.end_count == first.end_count &&
                                                 !memcmp(o.tokens, first.tokens, 4 * o.count) && !memcmp(o.ends, first.ends, 8 * o.end_count)));
            free(o.tokens), free(o.ends);
            if (!same)
                fail(text, size, cut ? "in windows it differs" : "a tier differs");
        }
    free(first.tokens), free(first.ends);
}

static void load(const char *file, unsigned family, unsigned switches)
{
    FILE *ranks = fopen(file, "rb");
    static char text[8 << 20];
    uint64_t size = ranks ? fread(text, 1, sizeof text, ranks) : 0, block_size, scratch_size;
    const char *what = "";
    if (!size || og_vocabulary_measure(text, size, &block_size, &scratch_size))
        fprintf(stderr, "no rank file: %s\n", file), exit(2);
    fclose(ranks);
    void *block = zeroed(block_size), *scratch = zeroed(scratch_size);
    uint64_t used = og_vocabulary_build(text, size, block, block_size, scratch, scratch_size, &what);
    free(scratch);
    block = realloc(block, used); /* exactly its size */
    void *exact = zeroed(used);
    memcpy(exact, block, used);
    free(block);
    for (uint32_t tier = 0; tier < OG_TIERS; tier++)
        if (og_tiers() >> tier & 1) {
            states[tier] = zeroed(og_state_size(CACHE_BITS));
            if (og_state_init(states[tier], og_state_size(CACHE_BITS), exact, CACHE_BITS, 4, family, switches, 0, tier))
                abort();
        }
}

#if defined(OG_LIBFUZZER)
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const delimiters[] = {"", "\n\n", "<|endoftext|>", " "};
    seed = 88172645463325252u;
    if (!states[0])
        load(getenv("OOMGUARD_FUZZ_RANKS"), (unsigned)atoi(getenv("OOMGUARD_FUZZ_FAMILY")), (unsigned)atoi(getenv("OOMGUARD_FUZZ_SWITCHES")));
    if (size) {
        try_input(data + 1, size - 1, delimiters[data[0] & 3]);
        try_json(data + 1, size - 1);
    }
    return 0;
}
#else
int main(int count, char **arguments)
{
    static const char *const delimiters[] = {"", "", "\n\n", "\n", "<|endoftext|>", " "};
    if (count != 6)
        return fprintf(stderr, "usage: core_fuzz RANKS family switches seconds seed\n"), 2;
    load(arguments[1], (unsigned)atoi(arguments[2]), (unsigned)atoi(arguments[3]));
    seed = 0x9E3779B97F4A7C15u ^ strtoull(arguments[5], NULL, 10);
    clock_t end = clock() + atoi(arguments[4]) * CLOCKS_PER_SEC; /* of CPU: other programs take none of it */
    uint64_t inputs = 0;
    for (; clock() < end; inputs++) {
        static uint8_t text[MOST + 128];
        uint64_t size = 0, pieces = below(below(4) ? 12 : 60);
        bool clean = below(3);
        while (pieces-- && size < MOST) {
            const char *piece = PIECES[below(PIECE_COUNT)];
            uint64_t length = strlen(piece);
            if (clean && ((uint8_t)piece[0] == 0xFF || (uint8_t)piece[0] == 0xC0 || (uint8_t)piece[0] == 0x80 || (uint8_t)piece[0] == 0xED))
                continue;
            memcpy(text + size, piece, length);
            size += length;
        }
        if (!clean && size)
            text[below(size)] ^= (uint8_t)(1u << below(8));
        if (!below(50)) { /* a long word, merged in scratch */
            for (; size < 1500; size++)
                text[size] = (uint8_t)('a' + below(4));
        }
        try_input(text, size, delimiters[below(6)]);
        if (below(2) && size) /* more of them are strings of JSON then */
            text[0] = text[size - 1] = '"';
        try_json(text, size);
    }
    printf("%llu inputs\n", (unsigned long long)inputs);
    return 0;
}
#endif
