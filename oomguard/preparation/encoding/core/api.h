/* What the library exports. Every function is called with memory of the caller's; none allocates, none keeps a pointer
 * except those that og_state_init is given. */
#ifndef OG_API_H
#define OG_API_H

#include <stdint.h>

#define OG_ABI 6 /* another number: native.py and the library do not belong together */
#define OG_EXPORT __attribute__((visibility("default")))

enum og_family { OG_R50K, OG_CL100K, OG_O200K };

/* What differs between patterns of one family. */
enum og_switches {
    OG_SINGLE_DIGITS = 1,    /* \p{N} and not \p{N}{1,3} */
    OG_WHITE_END = 2,        /* \s++$: white space at the end of a text is one pretoken, line ends or not */
    OG_NO_CONTRACTIONS = 4,  /* o200k without (?i:'s|'t|...)? */
    OG_MARKS_IN_WORDS = 8,   /* cl100k with [\p{L}\p{M}]+ for \p{L}+, and no \p{M} in punctuation */
};

enum og_tier { OG_PLAIN, OG_SSE2, OG_AVX2, OG_NEON, OG_TIERS };

enum og_status {
    OG_DONE,      /* all that can be encoded without knowing more text; with `last`: everything */
    OG_FULL,      /* no room for more tokens, or for more ends: give more and call again from `consumed` */
    OG_BAD_UTF8,  /* error_at: the first byte of the first ill-formed sequence */
    OG_TOO_LONG,  /* error_at: where the word begins that needs `scratch_needed` bytes of scratch */
    OG_BAD_CALL,  /* the arguments contradict each other */
};

/* One call of og_encode or og_encode_documents. Sizes in bytes, unless they say otherwise. */
struct og_job {
    const uint8_t *text;
    uint64_t text_size;
    uint64_t consumed;      /* in: where to begin; out: the start of the first pretoken that was not encoded */
    void *tokens;           /* uint16 or uint32, as the state says */
    uint64_t token_room;    /* in tokens: at least the bytes of the next pretoken and OG_SLACK */
    uint64_t token_count;   /* out: tokens written */
    int64_t *ends;          /* for each document that ended: tokens_before + tokens up to its end */
    uint64_t end_room;
    uint64_t end_count;     /* out */
    int64_t tokens_before;
    const uint8_t *delimiter; /* og_encode: the bytes between documents; they are not encoded */
    uint64_t delimiter_size;  /* 0: the text is one document */
    const void *offsets;      /* og_encode_documents: document_count + 1 places in text, as Arrow has them */
    uint64_t document_count;
    uint64_t document;        /* in: where to begin; out: the first document that was not finished */
    uint32_t offset_size;     /* 4 or 8 */
    uint32_t last;            /* og_encode: whether the text ends with text_size */
    uint32_t in_document;     /* og_encode: in, out: whether a document has begun before `consumed` */
    int64_t end_of_text;      /* a token to write after each document; -1: none */
    void *scratch;            /* for words that are longer than OG_SHORT_WORD once they are divided */
    uint64_t scratch_size;
    uint64_t scratch_needed;  /* out, of OG_TOO_LONG */
    uint64_t error_at;        /* out */
};

#define OG_SLACK 64      /* tokens of room beyond those that are written */
#define OG_SHORT_WORD 64 /* bytes; longer ones are merged in scratch */
#define OG_SCRATCH_PER_BYTE 36

struct og_vocabulary;
struct og_state;

OG_EXPORT uint32_t og_abi(void);
OG_EXPORT const char *og_unicode_version(void);
OG_EXPORT uint32_t og_tiers(void); /* a bit for each tier that this machine can run */

/* ranks: the text of a rank file, a line for each token: base64, a space, its rank. Gives 0, or the number of the line
 * that is wrong, counted from 1. block_size is an upper bound. */
OG_EXPORT uint64_t og_vocabulary_measure(const char *ranks, uint64_t size, uint64_t *block_size, uint64_t *scratch_size);
/* block, scratch: zeroed, aligned to 64 bytes. Gives the bytes that the block uses, or 0 with *what set. */
OG_EXPORT uint64_t og_vocabulary_build(const char *ranks, uint64_t size, void *block, uint64_t block_size, void *scratch,
                                       uint64_t scratch_size, const char **what);
OG_EXPORT int og_vocabulary_check(const void *block, uint64_t size);

/* memory: zeroed, aligned to 64 bytes; the vocabulary must stay where it is. Gives 0, or 1 for arguments that are wrong. */
OG_EXPORT uint64_t og_state_size(uint32_t cache_bits);
OG_EXPORT int og_state_init(void *memory, uint64_t size, const void *vocabulary, uint32_t cache_bits, uint32_t token_size,
                            uint32_t family, uint32_t switches, uint32_t first_id, uint32_t tier);

OG_EXPORT int og_encode(void *state, struct og_job *job);
OG_EXPORT int og_encode_documents(void *state, struct og_job *job);

/* How many bytes, from the first, are well-formed UTF-8. */
OG_EXPORT uint64_t og_utf8_prefix(const uint8_t *text, uint64_t size);

/* How many lines there are, if each of them, without its LF or CR LF, begins with { and ends with }; else 0. */
OG_EXPORT uint64_t og_json_lines(const uint8_t *text, uint64_t size);
OG_EXPORT uint64_t og_line_feeds(const uint8_t *text, uint64_t size);
/* `count` strings of JSON, each in its quotes and one right behind the other, as what they say, and where each begins:
 * int64[count + 1]. room: of `text`, at least `size`; what is written there beyond the last string means nothing. The json is
 * well-formed UTF-8, and so is the text. Gives 0, and anything in text and offsets, for what is not so many strings, and for
 * a surrogate that is alone; else 1. */
OG_EXPORT int og_json_strings(const uint8_t *json, uint64_t size, uint8_t *text, uint64_t room, int64_t *offsets,
                              uint64_t count);

/* Whether something behind `from` might not be NFC, or is ill-formed: the first such stretch is begin..end, and can be
 * normalized by itself. `from`: 0, or where a stretch ended. */
OG_EXPORT int og_nfc_find(const uint8_t *text, uint64_t size, uint64_t from, uint64_t *begin, uint64_t *end);

#endif
