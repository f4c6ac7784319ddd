/* What callers call: states, and text or arrays of documents to tokens. */
#include "cache.h"
#include "unicode.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define MOST_TEXT (UINT64_C(1) << 31) /* bytes that are looked at together: places have 32 bits */

#define DECLARE_TIER(name) \
    enum scan_stop og_scan_r50k_##name(const struct splitter *, struct scan *, uint32_t *, unsigned *); \
    enum scan_stop og_scan_cl100k_##name(const struct splitter *, struct scan *, uint32_t *, unsigned *); \
    enum scan_stop og_scan_o200k_##name(const struct splitter *, struct scan *, uint32_t *, unsigned *); \
    uint8_t *og_look_up_16_##name(struct og_state *, struct batch *, uint8_t *); \
    uint8_t *og_look_up_32_##name(struct og_state *, struct batch *, uint8_t *); \
    void og_merge_short_##name(const struct og_vocabulary *, struct part *, unsigned);
#define TIER(name) \
    { \
        {og_scan_r50k_##name, og_scan_cl100k_##name, og_scan_o200k_##name}, \
        {og_look_up_16_##name, og_look_up_32_##name}, og_merge_short_##name, \
    }

DECLARE_TIER(plain)
#if defined(OG_PLAIN_ALONE)
#elif defined(__x86_64__)
DECLARE_TIER(sse2)
DECLARE_TIER(avx2)
#elif defined(__aarch64__)
DECLARE_TIER(neon)
#endif

static const struct tier tiers[OG_TIERS] = {
    [OG_PLAIN] = TIER(plain),
#if defined(OG_PLAIN_ALONE)
#elif defined(__x86_64__)
    [OG_SSE2] = TIER(sse2),
    [OG_AVX2] = TIER(avx2),
#elif defined(__aarch64__)
    [OG_NEON] = TIER(neon),
#endif
};

uint32_t og_abi(void) { return OG_ABI; }
const char *og_unicode_version(void) { return OG_UNICODE_VERSION; }

#if defined(__x86_64__) && !defined(OG_PLAIN_ALONE)
/* Whether the processor has AVX2, BMI, BMI2 and POPCNT, and the kernel saves the registers. __builtin_cpu_supports asks
 * the compiler's own library, and zig's answers no to everything. */
static int has_avx2(void)
{
    enum { BASE = bit_AVX | bit_OSXSAVE | bit_POPCNT, MORE = bit_AVX2 | bit_BMI | bit_BMI2, SAVED = 6 /* XMM, YMM */ };
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & BASE) != BASE)
        return 0;
    __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    if ((a & SAVED) != SAVED)
        return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & MORE) == MORE;
}
#endif

uint32_t og_tiers(void)
{
    uint32_t there = 1u << OG_PLAIN;
#if defined(OG_PLAIN_ALONE)
#elif defined(__x86_64__)
    there |= 1u << OG_SSE2;
    if (has_avx2())
        there |= 1u << OG_AVX2;
#elif defined(__aarch64__)
    there |= 1u << OG_NEON;
#endif
    return there;
}

/* ---- states ---- */

enum { LEAST_BITS = 8, MOST_BITS = 24, LONG_CACHE = 4 /* fewer bits */ };

static uint64_t aligned(uint64_t size) { return (size + 63) & ~UINT64_C(63); }

uint64_t og_state_size(uint32_t cache_bits)
{
    if (cache_bits < LEAST_BITS || cache_bits > MOST_BITS)
        return 0;
    return aligned(sizeof(struct og_state)) + (sizeof(struct bucket) << cache_bits) +
           (2 * sizeof(struct long_entry) << (cache_bits - LONG_CACHE));
}

int og_state_init(void *memory, uint64_t size, const void *vocabulary, uint32_t cache_bits, uint32_t token_size, uint32_t family,
                  uint32_t switches, uint32_t first_id, uint32_t tier)
{
    struct og_state *state = memory;
    const struct og_vocabulary *v = vocabulary;
    uint64_t needed = og_state_size(cache_bits);
    if (!needed || size < needed || (uintptr_t)memory % 64 || (token_size != 2 && token_size != 4) || family > OG_O200K ||
        tier >= OG_TIERS || !(og_tiers() >> tier & 1) || first_id > UINT32_MAX / 2 ||
        (token_size == 2 && (uint64_t)v->token_count + first_id > 1 << 16))
        return 1;
    state->vocabulary = v;
    state->tier = tiers[tier];
    state->splitter = (struct splitter){family, switches};
    state->cache_bits = cache_bits;
    state->long_bits = cache_bits - LONG_CACHE;
    state->token_size = token_size;
    state->first_id = first_id;
    state->batches = 0;
    state->buckets = (struct bucket *)((char *)memory + aligned(sizeof *state));
    state->long_entries = (struct long_entry *)(state->buckets + (UINT64_C(1) << cache_bits));
    for (uint64_t i = 0; i < UINT64_C(1) << cache_bits; i++)
        for (unsigned way = 0; way < WAYS; way++)
            state->buckets[i].keys[way][0] = ~UINT64_C(0); /* and 0: no word has this key */
    og_seed(state);
    state->magic = STATE_MAGIC;
    return 0;
}

/* ---- stretches of one document ---- */

INLINE uint64_t room_left(const struct og_job *job)
{
    uint64_t used = job->token_count + OG_SLACK;
    return job->token_room > used ? job->token_room - used : 0;
}

/* Encodes as many of `spans` pretokens as there is room for, at a token a byte, which no text exceeds. */
static int encode_batch(struct og_state *state, struct og_job *job, const struct scan *scan, unsigned spans, unsigned *done)
{
    const uint32_t *starts = state->starts;
    uint64_t room = room_left(job);
    unsigned count = spans;
    while (count && starts[count] - starts[0] > room)
        count--;
    struct batch batch = {.text = scan->text, .readable_end = scan->text + scan->readable, .starts = starts, .count = count,
                          .too_long = count, .scratch = {job->scratch, job->scratch_size, 0}};
    uint8_t *out = (uint8_t *)job->tokens + job->token_count * state->token_size;
    uint8_t *(*look_up)(struct og_state *, struct batch *, uint8_t *) = state->tier.look_up[state->token_size == 4];
    uint8_t *end = look_up(state, &batch, out);
    int status = count < spans ? OG_FULL : OG_DONE;
    if (UNLIKELY(batch.too_long < batch.count)) { /* once more, up to the word that is too long */
        job->scratch_needed = batch.scratch.needed;
        job->error_at = (uint64_t)(scan->text - job->text) + starts[batch.too_long];
        batch.count = count = batch.too_long;
        end = look_up(state, &batch, out);
        status = OG_TOO_LONG;
    }
    job->token_count += (uint64_t)(end - out) / state->token_size;
    *done = count;
    return status;
}

/* From job->consumed up to `end`, or up to what is within MOST_TEXT; the document ends with `end` if `last`. */
static int encode_part(struct og_state *state, struct og_job *job, uint64_t end, bool last)
{
    uint64_t from = job->consumed;
    bool whole = end - from <= MOST_TEXT;
    struct scan scan = {.text = job->text + from, .end = whole ? end - from : MOST_TEXT, .readable = job->text_size - from,
                        .fresh = true, .last = last && whole};
    unsigned count = 0, done;
    for (;;) {
        enum scan_stop stop = state->tier.scan[state->splitter.family](&state->splitter, &scan, state->starts, &count);
        int status = encode_batch(state, job, &scan, count - 1, &done);
        uint32_t moved = state->starts[done];
        job->consumed += moved;
        if (status != OG_DONE || stop == SCAN_END)
            return status;
        if (stop == SCAN_BAD) {
            job->error_at = (uint64_t)(scan.text - job->text) + scan.error_at;
            return OG_BAD_UTF8;
        }
        if (stop == SCAN_MORE) {
            if (whole || job->consumed > from)
                return OG_DONE;
            job->error_at = from; /* one pretoken beyond MOST_TEXT */
            job->scratch_needed = UINT64_MAX;
            return OG_TOO_LONG;
        }
        /* The last start's end is not known yet: it is the first of the next batch. */
        scan.text += moved;
        scan.base -= moved;
        scan.end -= moved;
        scan.readable -= moved;
        state->starts[0] = 0;
        count = 1;
    }
}

static int encode_stretch(struct og_state *state, struct og_job *job, uint64_t end, bool last)
{
    int status;
    do
        status = encode_part(state, job, end, last);
    while (status == OG_DONE && end - job->consumed > MOST_TEXT);
    return status;
}

/* Writes the end of a document, if there is room for it. */
static int end_document(const struct og_state *state, struct og_job *job)
{
    bool marked = job->end_of_text >= 0;
    if ((job->ends && job->end_count == job->end_room) || (marked && job->token_room - job->token_count < 2))
        return OG_FULL;
    if (marked) {
        uint8_t *out = (uint8_t *)job->tokens + job->token_count * state->token_size;
        put_token(&out, (uint32_t)job->end_of_text, state->token_size);
        job->token_count++;
    }
    if (job->ends)
        job->ends[job->end_count] = job->tokens_before + (int64_t)job->token_count;
    job->end_count++;
    return OG_DONE;
}

/* ---- the calls ---- */

static bool is_sound(const struct og_state *state, const struct og_job *job)
{
    int64_t most_id = state->token_size == 2 ? UINT16_MAX : UINT32_MAX;
    return state->magic == STATE_MAGIC && job->consumed <= job->text_size && job->end_of_text <= most_id &&
           (job->text || !job->text_size) && (job->tokens || !job->token_room) &&
           /* CPython 3.13 keeps an empty bytearray at an odd address */
           (!job->scratch_size || (job->scratch && (uintptr_t)job->scratch % 8 == 0)) &&
           (job->delimiter || !job->delimiter_size);
}

static bool find_delimiter(const struct og_job *job, uint64_t *found)
{
    const uint8_t *at = job->text + job->consumed, *end = job->text + job->text_size;
    while (job->delimiter_size && (uint64_t)(end - at) >= job->delimiter_size) {
        at = memchr(at, job->delimiter[0], (size_t)((uint64_t)(end - at) - job->delimiter_size + 1));
        if (!at)
            break;
        if (memcmp(at, job->delimiter, job->delimiter_size) == 0) {
            *found = (uint64_t)(at - job->text);
            return true;
        }
        at++;
    }
    return false;
}

int og_encode(void *memory, struct og_job *job)
{
    struct og_state *state = memory;
    job->token_count = job->end_count = 0;
    if (!is_sound(state, job))
        return OG_BAD_CALL;
    for (;;) {
        uint64_t from = job->consumed, end = job->text_size, kept_back;
        bool found = find_delimiter(job, &end), last = found || job->last;
        if (!found && job->last && from == end && !job->in_document)
            return OG_DONE; /* a delimiter at the very end begins no document */
        if (!last && job->delimiter_size) { /* one may begin in the last bytes */
            kept_back = job->delimiter_size - 1;
            end = end - from > kept_back ? end - kept_back : from;
        }
        int status = encode_stretch(state, job, end, last);
        job->in_document |= job->consumed > from;
        if (status != OG_DONE || !last)
            return status;
        if (end_document(state, job) != OG_DONE)
            return OG_FULL;
        job->in_document = 0;
        if (!found)
            return OG_DONE;
        job->consumed = end + job->delimiter_size;
    }
}

static uint64_t offset(const struct og_job *job, uint64_t document)
{
    if (job->offset_size == 4) {
        int32_t at = ((const int32_t *)job->offsets)[document];
        return at < 0 ? UINT64_MAX : (uint64_t)at;
    }
    int64_t at = ((const int64_t *)job->offsets)[document];
    return at < 0 ? UINT64_MAX : (uint64_t)at;
}

int og_encode_documents(void *memory, struct og_job *job)
{
    struct og_state *state = memory;
    job->token_count = job->end_count = 0;
    if (!is_sound(state, job) || (job->offset_size != 4 && job->offset_size != 8) || !job->offsets)
        return OG_BAD_CALL;
    for (; job->document < job->document_count; job->document++) {
        uint64_t from = offset(job, job->document), end = offset(job, job->document + 1);
        if (from > end || end > job->text_size)
            return OG_BAD_CALL;
        if (job->consumed < from || job->consumed > end)
            job->consumed = from;
        int status = encode_stretch(state, job, end, true);
        if (status != OG_DONE)
            return status;
        if (end_document(state, job) != OG_DONE)
            return OG_FULL;
    }
    return OG_DONE;
}

uint64_t og_utf8_prefix(const uint8_t *text, uint64_t size)
{
    const uint64_t high = UINT64_C(0x8080808080808080);
    uint64_t at = 0;
    while (at < size) {
        while (size - at >= 32 &&
               !((load64(text + at) | load64(text + at + 8) | load64(text + at + 16) | load64(text + at + 24)) & high))
            at += 32;
        for (uint64_t end = size - at > 32 ? at + 32 : size; at < end;) {
            unsigned step = decode(text + at, size - at).size;
            if (!step)
                return at;
            at += step;
        }
    }
    return at;
}
