/* Vectors of floats, and products of matrices with them: what decode_step.c and train_step.c share.

   Vectors are GCC's own (also clang's): AVX-512, AVX2 and NEON come of the same lines. */

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
#define PANEL (2 * LANES)
#define TILE 6      /* rows of a product whose sums are held in registers: 2 * TILE vectors */
#define DEPTH 256   /* inputs of a panel in one go: PANEL * DEPTH numbers fit the nearest cache */

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline vec load(const float *p) { return *(const vec *)p; }
static inline void store(float *p, vec x) { *(vec *)p = x; }
static inline vec all(float x) { return x - (vec){0}; }

static inline float sum(vec x) {
    float s = 0;
    for (int i = 0; i < LANES; i++) s += x[i];
    return s;
}

static inline vec where(ivec mask, vec a, vec b) { return (vec)(((ivec)a & mask) | ((ivec)b & ~mask)); }

/* e^x to a few units in the last place, for x cut to -87 to 87. What is not a number stays so: a broken model must be seen. */
static inline vec exponential(vec x) {
    const vec magic = all(12582912.0f); /* 1.5 * 2^23: adding it rounds to whole numbers, which stand in the low bits */
    x = where(x < -87.0f, all(-87.0f), x);
    x = where(x > 87.0f, all(87.0f), x);
    vec shifted = x * 1.44269504f + magic, n = shifted - magic;
    vec r = x - n * 0.693359375f + n * 2.12194440e-4f;
    vec p = all(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    ivec power = ((ivec)shifted - (ivec)magic + 127) << 23;
    return p * (vec)power;
}

/* c (+)= a b for a tile of rows and one panel of b. Number (r, i) of a stands at a[r * row + i * next], so that a may also be
   the transpose of what is in memory. */
#define SUMS(ROWS)                                                                                                            \
    static void sums##ROWS(const float *a, int64_t row, int64_t next, const float *b, int64_t depth, float *c, int64_t ldc,    \
                           int add) {                                                                                          \
        vec left[ROWS], right[ROWS];                                                                                           \
        for (int r = 0; r < ROWS; r++) {                                                                                       \
            left[r] = add ? load(c + r * ldc) : all(0);                                                                        \
            right[r] = add ? load(c + r * ldc + LANES) : all(0);                                                               \
        }                                                                                                                      \
        for (int64_t i = 0; i < depth; i++, a += next) {                                                                       \
            vec b0 = load(b + i * PANEL), b1 = load(b + i * PANEL + LANES);                                                    \
            for (int r = 0; r < ROWS; r++) {                                                                                   \
                vec x = all(a[r * row]);                                                                                       \
                left[r] += x * b0;                                                                                             \
                right[r] += x * b1;                                                                                            \
            }                                                                                                                  \
        }                                                                                                                      \
        for (int r = 0; r < ROWS; r++) {                                                                                       \
            store(c + r * ldc, left[r]);                                                                                       \
            store(c + r * ldc + LANES, right[r]);                                                                              \
        }                                                                                                                      \
    }
SUMS(1) SUMS(2) SUMS(3) SUMS(4) SUMS(5) SUMS(6)

typedef void Sums(const float *, int64_t, int64_t, const float *, int64_t, float *, int64_t, int);
static Sums *const by_rows[TILE + 1] = {0, sums1, sums2, sums3, sums4, sums5, sums6};

/* c (rows, n) (+)= a (rows, depth) b. b comes in panels of PANEL columns, (depth, PANEL) each, `panel` numbers apart. */
static void product(int64_t rows, const float *a, int64_t row, int64_t next, int64_t depth, const float *b, int64_t panel,
                    int64_t n, float *c, int64_t ldc, int add) {
    int64_t tiles = (rows + TILE - 1) / TILE;
    for (int64_t from = 0; from < depth; from += DEPTH) {
        int64_t some = depth - from < DEPTH ? depth - from : DEPTH;
        for (int64_t p = 0; p < n; p += PANEL) {
            const float *part = b + p / PANEL * panel + from * PANEL;
            for (int64_t t = 0, r = 0; t < tiles; t++) { /* tiles as even as can be */
                int64_t size = (rows - r) / (tiles - t);
                by_rows[size](a + r * row + from * next, row, next, part, some, c + r * ldc + p, ldc, add || from);
                r += size;
            }
        }
    }
}

/* bfloat16: the upper half of a float. */
typedef uint16_t bf16;
typedef uint16_t hvec __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4)));

static inline vec load16(const bf16 *p) { return (vec)(__builtin_convertvector(*(const hvec *)p, uvec) << 16); }

static inline void store16(bf16 *p, vec x) { /* to the nearest, the even one of two; what is not a number stays none */
#if defined(__AVX512BF16__) && LANES == 16
    *(hvec *)p = (hvec)_mm512_cvtneps_pbh((__m512)x);
#else
    uvec u = (uvec)x;
    uvec rounded = u + 0x7fff + ((u >> 16) & 1), broken = (u & 0x7fffffff) > 0x7f800000;
    *(hvec *)p = __builtin_convertvector(((rounded & ~broken) | ((u | 0x400000) & broken)) >> 16, hvec);
#endif
}

/* c + a b by pairs of neighbours: every number of a and b holds two of bfloat16. Sums are float. */
static inline vec dot(vec c, ivec a, ivec b) {
#if defined(__AVX512BF16__) && LANES == 16
    return (vec)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
#else
    const ivec high = (ivec){0} - 65536;
    return c + (vec)(a << 16) * (vec)(b << 16) + (vec)(a & high) * (vec)(b & high);
#endif
}

/* What becomes of a product: its floats are written, added to what is there, or written as bfloat16. */
enum { WRITE, ADD, ROUND };

#if LANES == 16
#define TILE16 12 /* rows whose sums are held in registers: of 32 vectors 24 */
#else
#define TILE16 6
#endif
#define AHEAD 256 /* numbers between what is read of b and what is fetched meanwhile */

/* c (ROWS, PANEL) of a tile a (depth / 2, ROWS, 2) and a panel b (depth / 2, PANEL, 2): both read from end to end. */
#define SUMS16(ROWS)                                                                                                           \
    static void halves##ROWS(const bf16 *a, const bf16 *b, int64_t depth, void *c, int64_t ldc, int how) {                     \
        vec left[ROWS], right[ROWS];                                                                                           \
        for (int r = 0; r < ROWS; r++) {                                                                                       \
            left[r] = right[r] = all(0);                                                                                       \
            __builtin_prefetch((char *)c + r * ldc * (how == ROUND ? 2 : 4), 1);                                               \
            if (how == ADD) __builtin_prefetch((float *)c + r * ldc + LANES, 1);                                               \
        }                                                                                                                      \
        for (int64_t i = 0; i < depth; i += 2, a += 2 * ROWS, b += 2 * PANEL) {                                                \
            ivec b0 = *(const ivec *)b, b1 = *(const ivec *)(b + PANEL);                                                       \
            __builtin_prefetch(b + AHEAD);                                                                                     \
            __builtin_prefetch(b + AHEAD + PANEL);                                                                             \
            for (int r = 0; r < ROWS; r++) {                                                                                   \
                int32_t pair;                                                                                                  \
                memcpy(&pair, a + 2 * r, sizeof pair);                                                                         \
                ivec x = pair - (ivec){0};                                                                                     \
                left[r] = dot(left[r], x, b0);                                                                                 \
                right[r] = dot(right[r], x, b1);                                                                               \
            }                                                                                                                  \
        }                                                                                                                      \
        for (int r = 0; r < ROWS; r++) {                                                                                       \
            float *to = (float *)c + r * ldc;                                                                                  \
            bf16 *half = (bf16 *)c + r * ldc;                                                                                  \
            if (how == ADD) left[r] += load(to), right[r] += load(to + LANES);                                                 \
            if (how != ROUND) store(to, left[r]), store(to + LANES, right[r]);                                                 \
            if (how == ROUND) store16(half, left[r]), store16(half + LANES, right[r]);                                         \
        }                                                                                                                      \
    }
SUMS16(1) SUMS16(2) SUMS16(3) SUMS16(4) SUMS16(5) SUMS16(6) SUMS16(7) SUMS16(8) SUMS16(9) SUMS16(10) SUMS16(11) SUMS16(12)

typedef void Sums16(const bf16 *, const bf16 *, int64_t, void *, int64_t, int);
static Sums16 *const halves_by_rows[] = {0,       halves1, halves2, halves3, halves4,  halves5, halves6,
                                         halves7, halves8, halves9, halves10, halves11, halves12};

/* Tiles of so many rows, as even as can be: the first row of tile t. */
static inline int64_t tiles16(int64_t rows) { return (rows + TILE16 - 1) / TILE16; }
static inline int64_t tile_at(int64_t rows, int64_t t) { return rows * t / tiles16(rows); }

/* Tiles `first` to `last` - 1 of a (rows, depth), its rows `apart` numbers from each other; depth is even. The whole takes
   rows * depth numbers, a tile stands depth times its first row from the beginning. */
static void rows16(int64_t rows, int64_t depth, const bf16 *a, int64_t apart, int64_t first, int64_t last, bf16 *packed) {
    for (int64_t t = first; t < last; t++) {
        const int64_t at = tile_at(rows, t), size = tile_at(rows, t + 1) - at;
        for (int64_t r = 0; r < size; r++) {
            const bf16 *from = a + (at + r) * apart;
            bf16 *to = packed + at * depth + 2 * r;
            for (int64_t i = 0; i < depth; i += 2) memcpy(to + i * size, from + i, 2 * sizeof(bf16));
        }
    }
}

/* c (rows, n), of `ldc` numbers a row, from a in tiles and b in panels of PANEL columns, (depth / 2, PANEL, 2) each. */
static void product16(int64_t rows, const bf16 *a, int64_t depth, const bf16 *b, int64_t n, void *c, int64_t ldc, int how) {
    const int64_t wide = how == ROUND ? sizeof(bf16) : sizeof(float);
    for (int64_t p = 0; p < n; p += PANEL)
        for (int64_t t = 0; t < tiles16(rows); t++) {
            const int64_t at = tile_at(rows, t), size = tile_at(rows, t + 1) - at;
            halves_by_rows[size](a + at * depth, b + p * depth, depth, (char *)c + (at * ldc + p) * wide, ldc, how);
        }
}
