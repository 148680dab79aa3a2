/* What a training pass of a small Llama-like model does between its matrix products, in fp32: what train_step.py calls.

   1. Each function reads and writes once what torch's operations read and write several times.
   2. Attention works on rows laid end to end (packing.py): no padding, nothing that no token sees, no copy of a prompt for each
      of its responses.
   3. A number is summed in one order, whatever the number of threads; only a norm's weight gradient depends on that. */

#include "vectors.h"
#ifdef _OPENMP
#include <omp.h>
#endif

#define BLOCK 24 /* queries that attention takes together */

/* 1 where the threads that functions ask for are to be had, 0 where a compiler without OpenMP has left one. */
int64_t parallel(void) {
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

/* Rows by family: a beginning of `first_n` tokens (0 where there is none) from number `first_at` of the pack, then the rows
   `rows[f]` to `rows[f + 1] - 1` that continue it, `n` tokens from number `at` each. */
typedef struct {
    int64_t heads, groups, head, families, longest_first, longest; /* the longest beginning, and the longest row or beginning */
    const int64_t *first_at, *first_n, *rows, *at, *n;
} Shape;

static inline int64_t whole(int64_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

/* Keys and values of a stretch of tokens, one head. The second two are needed on the way back only. */
typedef struct {
    int64_t n;
    float *k_across, *v_along, *v_across, *k_along;
} Part;

static int64_t part_numbers(int64_t n, int64_t head) { return 4 * whole(n) * head; }

/* found (rows, width) = a (rows, head) times what is across: `before`, padded, then as much of `own` as `end` tokens need. */
static void against(const Shape *s, int64_t rows, const float *a, int64_t apart, const float *before, int64_t n, const float *own,
                    int64_t end, float *found, int64_t width) {
    const int64_t head = s->head;
    product(rows, a, apart, 1, head, before, head * PANEL, whole(n), found, width, 0);
    product(rows, a, apart, 1, head, own, head * PANEL, whole(end), found + whole(n), width, 0);
}

/* out (rows, head) = weights times what lies along: `before`, then `end` tokens of `own`. */
static void mixed(const Shape *s, int64_t rows, const float *weights, int64_t width, const float *before, int64_t n,
                  const float *own, int64_t own_n, int64_t end, float *out, int64_t apart) {
    product(rows, weights, width, 1, n, before, n * PANEL, s->head, out, apart, 0);
    product(rows, weights + whole(n), width, 1, end, own, own_n * PANEL, s->head, out, apart, n > 0);
}

static inline vec vmax(vec a, vec b) { return where(a > b, a, b); }

/* Scores of one query, `seen` of its own tokens visible, become e^(scale * score - most), 0 where nothing is. `most` is *known,
   or the greatest where that is NULL. Returns their sum, and in `log_total` the logarithm of what e^(scale * score) sums to. */
static float soften(float *scores, int64_t n, int64_t seen, int64_t end, float scale, const float *known, float *log_total) {
    float *own = scores + whole(n);
    for (int64_t t = n; t < whole(n); t++) scores[t] = -1e30f;
    for (int64_t t = seen; t < whole(end); t++) own[t] = -1e30f;
    const int64_t width = whole(n) + whole(end);
    float most = known ? *known : -1e30f;
    if (!known) {
        vec greatest = all(most);
        for (int64_t t = 0; t < width; t += LANES) greatest = vmax(greatest, load(scores + t));
        for (int i = 0; i < LANES; i++) most = greatest[i] > most ? greatest[i] : most;
        most *= scale;
    }
    vec total = all(0);
    for (int64_t t = 0; t < width; t += LANES) {
        vec e = exponential(load(scores + t) * scale - most);
        store(scores + t, e);
        total += e;
    }
    for (int64_t t = seen; t < end; t++) own[t] = 0.0f; /* not quite 0 yet: exponential cuts at e^-87; padding nobody reads */
    const float found = sum(total);
    if (log_total) *log_total = most + logf(found);
    return found;
}

/* Numbers of scratch that a thread needs. */
int64_t attention_scratch(const Shape *s) {
    const int64_t width = whole(s->longest_first) + whole(s->longest);
    return part_numbers(s->longest_first, s->head) + part_numbers(s->longest, s->head) + 2 * BLOCK * width +
           2 * whole(s->longest) * s->head + 3 * BLOCK * s->head;
}

static inline float wide(bf16 x) {
    uint32_t u = (uint32_t)x << 16;
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

static inline bf16 narrow(float f) { /* as store16 */
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return (u & 0x7fffffff) > 0x7f800000 ? (bf16)((u | 0x400000) >> 16) : (bf16)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

#include "products.h"

#define KIND(name) name
#define NUMBER float
#include "kinds.h"
#undef KIND
#undef NUMBER
#define HALF
#define KIND(name) name##_half
#define NUMBER bf16
#include "kinds.h"
