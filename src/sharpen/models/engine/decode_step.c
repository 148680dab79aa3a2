/* One decoding step of a Llama-like model in fp32 or bfloat16, for stretches of the rows: what decode_step.py calls.

   1. Rows are independent, so a stretch of them goes through all layers by itself; nothing is shared but what is read.
   2. Every number of a row is summed in one order, whatever rows stand beside it.
   3. Weights of products come packed: (outputs / PANEL, inputs, PANEL), so that PANEL outputs lie side by side; in bfloat16 two
      inputs of an output are neighbours.
   4. stretch.h is the step itself, made once for each kind of number. Sums are float in both. */

#include "vectors.h"
#ifdef _OPENMP
#include <omp.h>
#endif

#define CHUNK 64 /* rows that go through a layer together: what lies between its products stays near, and no thread waits long */

typedef struct {
    const float *norm, *qkv_bias, *q_norm, *k_norm, *mlp_norm; /* biases and head norms may be 0 */
    const void *qkv, *out, *gate_up, *down;
} Layer;

typedef struct {
    int64_t layers, width, heads, groups, head, inner, outputs; /* outputs: of the vocabulary, padded to whole panels */
    double eps;
    const void *embedding, *vocabulary;
    const float *norm;
    const Layer *layer;
} Model;

/* Keys and values. A row's prompt is in a block of prompts (S, groups, longest, head) that rows share; what it generated is in
   (rows, groups, capacity, head), `used` columns of it filled. */
typedef struct {
    int64_t used, capacity, blocks;
    void *const *k, *const *v;                   /* by layer */
    const void *const *block_k, *const *block_v; /* by layer and block */
    const int64_t *longest;                      /* by block */
    const int64_t *block, *prompt, *position;     /* by row; a position is that of the token that comes in now */
    const float *cos, *sin;                       /* by position: head / 2 numbers */
} Cache;

static void rotate(int64_t head, float *restrict x, const float *restrict cos, const float *restrict sin) {
    int64_t half = head / 2;
    for (int64_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cos[i] - b * sin[i];
        x[i + half] = b * cos[i] + a * sin[i];
    }
}

/* A token of each row, drawn by inverting its distribution at u, and its log-probability; at temperature 0 the likeliest, under
   temperature 1. `space` has `room` numbers for each thread: a row's, and a vector more. */
void draw(int64_t rows, int64_t vocabulary, const float *logits, double temperature, const double *u, int64_t *tokens,
          float *logp, float *space, int64_t room, int64_t threads) {
    const float flat = temperature > 0 ? (float)temperature : 1.0f;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
#ifdef _OPENMP
        float *e = space + omp_get_thread_num() * room;
#else
        float *e = space;
#endif
        const float *row = logits + r * vocabulary;
        int64_t best = 0, chosen = 0, i = 0;
        for (int64_t j = 1; j < vocabulary; j++) best = row[j] > row[best] ? j : best;
        memcpy(e, row, vocabulary * sizeof(float));
        for (int j = 0; j < LANES; j++) e[vocabulary + j] = -INFINITY;
        double total = 0;
        for (i = 0; i < vocabulary; i += LANES) {
            vec x = (load(e + i) - row[best]) / flat, power = where(x < -87.0f, all(0), exponential(x));
            store(e + i, power);
            total += sum(power);
        }
        if (temperature > 0) { /* whole vectors first, summed as above, then the tokens of the one that was hit */
            const double goal = u[r] * total;
            double passed = 0, with;
            for (i = 0; i + LANES < vocabulary && (with = passed + sum(load(e + i))) <= goal; i += LANES) passed = with;
            const int64_t last = i + LANES < vocabulary ? i + LANES - 1 : vocabulary - 1;
            for (chosen = i; chosen < last && (passed += e[chosen]) <= goal; chosen++) continue;
            for (; chosen > 0 && e[chosen] == 0; chosen--) continue; /* where rounding has left none */
        } else {
            chosen = best;
        }
        tokens[r] = chosen;
        logp[r] = (row[chosen] - row[best]) / flat - (float)log(total);
    }
}

int64_t panel(void) { return PANEL; }
int64_t lanes(void) { return LANES; }

/* 1 where the processor has dot products of bfloat16; elsewhere they are made of others, and torch's operations are faster. */
int64_t halves(void) {
#if defined(__AVX512BF16__) && LANES == 16
    return 1;
#else
    return 0;
#endif
}

/* Weights (n, k) as products take them; what is missing to a whole panel is 0. */
void pack(int64_t n, int64_t k, const float *weight, float *packed) {
    for (int64_t p = 0; p < n; p += PANEL, packed += k * PANEL)
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < PANEL; j++) packed[i * PANEL + j] = p + j < n ? weight[(p + j) * k + i] : 0.0f;
}

static int64_t widest(const Model *m) { return (m->heads + 2 * m->groups) * m->head; }

/* Most numbers of a row that go into a product. */
static int64_t deepest(const Model *m) {
    const int64_t asked = m->heads * m->head, deep = m->inner > m->width ? m->inner : m->width;
    return asked > deep ? asked : deep;
}

/* The same of bfloat16, two inputs of an output as neighbours; k is even. */
void pack_half(int64_t n, int64_t k, const bf16 *weight, bf16 *packed) {
    for (int64_t p = 0; p < n; p += PANEL, packed += k * PANEL)
        for (int64_t i = 0; i < k; i += 2)
            for (int64_t j = 0; j < PANEL; j++) {
                packed[i * PANEL + 2 * j] = p + j < n ? weight[(p + j) * k + i] : 0;
                packed[i * PANEL + 2 * j + 1] = p + j < n ? weight[(p + j) * k + i + 1] : 0;
            }
}

/* Numbers of scratch that a thread needs where a row attends to at most `length` tokens. */
int64_t scratch(const Model *m, int64_t length) {
    return CHUNK * (2 * m->width + widest(m) + m->heads * m->head + 2 * m->inner + deepest(m)) + length + 2 * LANES;
}

#define KIND(name) name##_float
#define NUMBER float
#include "stretch.h"
#undef KIND
#undef NUMBER
#define HALF
#define KIND(name) name##_half
#define NUMBER bf16
#include "stretch.h"

/* One token of each row, `space` having `room` numbers for each thread. The threads are those of the OpenMP that torch runs on:
   a second pool would fight with them for the cores. Rows go to whoever is free, in even pieces: where something else has taken a
   thread's core, the others do its work. */
void step(const Model *m, const Cache *c, const int64_t *tokens, int64_t rows, float *logits, float *space, int64_t room,
          int64_t threads, int64_t half) {
    threads = threads < rows ? threads : rows;
    const int64_t pieces = threads * ((rows + threads * CHUNK - 1) / (threads * CHUNK));
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < pieces; i++) {
#ifdef _OPENMP
        float *own = space + omp_get_thread_num() * room;
#else
        float *own = space;
#endif
        (half ? stretch_half : stretch_float)(m, c, tokens, rows * i / pieces, rows * (i + 1) / pieces, logits, own);
    }
}
