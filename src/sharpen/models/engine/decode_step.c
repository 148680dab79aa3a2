/* One decoding step of a small Llama-like model in fp32, for a stretch of the rows: what decode_step.py calls.

   1. Rows are independent, so each thread takes a stretch of them through all layers; nothing is shared but what is read.
   2. Every number of a row is summed in one order, whatever rows stand beside it.
   3. Weights of products come packed: (outputs / PANEL, inputs, PANEL), so that PANEL outputs lie side by side. */

#include "vectors.h"
#ifdef __AVX2__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#endif

#define CHUNK 128 /* rows that go through a layer together, so that what lies between its products stays near */

typedef struct {
    const float *norm, *qkv, *qkv_bias, *q_norm, *k_norm, *out, *mlp_norm, *gate_up, *down; /* biases and head norms may be 0 */
} Layer;

typedef struct {
    int64_t layers, width, heads, groups, head, inner, outputs; /* outputs: of the vocabulary, padded to whole panels */
    double eps;
    const float *embedding, *norm, *vocabulary;
    const Layer *layer;
} Model;

/* Keys and values. A row's prompt is in a block of prompts (S, groups, longest, head) that rows share; what it generated is in
   (rows, groups, capacity, head), `used` columns of it filled. */
typedef struct {
    int64_t used, capacity, blocks;
    float *const *k, *const *v;                   /* by layer */
    const float *const *block_k, *const *block_v; /* by layer and block */
    const int64_t *longest;                       /* by block */
    const int64_t *block, *prompt, *position;     /* by row; a position is that of the token that comes in now */
    const float *cos, *sin;                       /* by position: head / 2 numbers */
} Cache;

/* c (rows, n) (+)= a (rows, k) b, b packed. */
static void times(int64_t rows, const float *a, int64_t k, const float *b, int64_t n, float *c, int64_t ldc, int add) {
    product(rows, a, k, 1, k, b, k * PANEL, n, c, ldc, add);
}

static void normalise(int64_t n, const float *x, const float *weight, double eps, float *y) {
    vec squares = all(0);
    for (int64_t i = 0; i < n; i += LANES) squares += load(x + i) * load(x + i);
    float scale = 1.0f / sqrtf(sum(squares) / (float)n + (float)eps);
    for (int64_t i = 0; i < n; i += LANES) store(y + i, load(x + i) * scale * load(weight + i));
}

static void rotate(int64_t head, float *restrict x, const float *restrict cos, const float *restrict sin) {
    int64_t half = head / 2;
    for (int64_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cos[i] - b * sin[i];
        x[i + half] = b * cos[i] + a * sin[i];
    }
}

static inline vec products(int64_t head, const float *a, const float *b) {
    vec s = load(a) * load(b);
    for (int64_t e = LANES; e < head; e += LANES) s += load(a + e) * load(b + e);
    return s;
}

static void scores(int64_t n, int64_t head, const float *q, const float *k, float *found) {
    int64_t t = 0;
#if defined(__AVX2__) && LANES == 8 /* eight sums across a vector at once; one by one they cost more than the products */
    for (; t + 8 <= n; t += 8) {
        const float *at = k + t * head;
        __m256 p[8];
        for (int i = 0; i < 8; i++) p[i] = (__m256)products(head, q, at + i * head);
        for (int i = 0; i < 4; i++) p[i] = _mm256_hadd_ps(p[2 * i], p[2 * i + 1]);
        __m256 low = _mm256_hadd_ps(p[0], p[1]), high = _mm256_hadd_ps(p[2], p[3]);
        store(found + t, (vec)(_mm256_permute2f128_ps(low, high, 0x20) + _mm256_permute2f128_ps(low, high, 0x31)));
    }
#endif
    for (; t < n; t++) found[t] = sum(products(head, q, k + t * head));
}

/* out += the sum of v's rows, weighted: four vectors at a time, so that no addition waits for the one before. */
static void mix(int64_t n, int64_t head, const float *weight, const float *v, float *out) {
    int64_t e = 0;
    for (; e + 4 * LANES <= head; e += 4 * LANES) {
        vec s[4] = {load(out + e), load(out + e + LANES), load(out + e + 2 * LANES), load(out + e + 3 * LANES)};
        for (int64_t t = 0; t < n; t++) {
            const vec w = all(weight[t]);
            for (int i = 0; i < 4; i++) s[i] += w * load(v + t * head + e + i * LANES);
        }
        for (int i = 0; i < 4; i++) store(out + e + i * LANES, s[i]);
    }
    for (; e < head; e += LANES) {
        vec s = load(out + e);
        for (int64_t t = 0; t < n; t++) s += weight[t] * load(v + t * head + e);
        store(out + e, s);
    }
}

/* One query over its prompt and over what its row has generated; `weights` has room for both and a vector more. */
static void attend(int64_t head, const float *q, int64_t before, const float *pk, const float *pv, int64_t own, const float *k,
                   const float *v, float *weights, float *out) {
    int64_t n = before + own;
    scores(before, head, q, pk, weights);
    scores(own, head, q, k, weights + before);
    for (int64_t t = n; t < n + LANES; t++) weights[t] = -1e30f;
    vec greatest = load(weights), total = all(0);
    for (int64_t t = LANES; t < n; t += LANES) greatest = where(greatest > load(weights + t), greatest, load(weights + t));
    float most = greatest[0];
    for (int i = 1; i < LANES; i++) most = greatest[i] > most ? greatest[i] : most;
    for (int64_t t = 0; t < n; t += LANES) {
        vec e = exponential(load(weights + t) - most);
        for (int i = 0; t + LANES > n && i < LANES; i++) e[i] = t + i < n ? e[i] : 0.0f;
        store(weights + t, e);
        total += e;
    }
    memset(out, 0, head * sizeof(float));
    mix(before, head, weights, pv, out);
    mix(own, head, weights + before, v, out);
    float scale = 1.0f / sum(total);
    for (int64_t e = 0; e < head; e += LANES) store(out + e, load(out + e) * scale);
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

/* Weights (n, k) as products take them; what is missing to a whole panel is 0. */
void pack(int64_t n, int64_t k, const float *weight, float *packed) {
    for (int64_t p = 0; p < n; p += PANEL, packed += k * PANEL)
        for (int64_t i = 0; i < k; i++)
            for (int64_t j = 0; j < PANEL; j++) packed[i * PANEL + j] = p + j < n ? weight[(p + j) * k + i] : 0.0f;
}

static int64_t widest(const Model *m) { return (m->heads + 2 * m->groups) * m->head; }

/* Numbers of scratch that a thread needs where a row attends to at most `length` tokens. */
int64_t scratch(const Model *m, int64_t length) {
    return CHUNK * (2 * m->width + widest(m) + m->heads * m->head + 2 * m->inner) + length + 2 * LANES;
}

/* Tokens of rows first to last - 1 through the model: keys and values are added to the cache, logits (rows, outputs) written. */
static void stretch(const Model *m, const Cache *c, const int64_t *tokens, int64_t first, int64_t last, float *logits,
                    float *space) {
    const int64_t d = m->width, head = m->head, q_width = m->heads * head, kv_width = m->groups * head, wide = widest(m);
    const int64_t shared = m->heads / m->groups;
    const float scale = 1.0f / sqrtf((float)head);
    float *x = space, *h = x + CHUNK * d, *qkv = h + CHUNK * d, *mixed = qkv + CHUNK * wide, *inner = mixed + CHUNK * q_width;
    float *weights = inner + CHUNK * 2 * m->inner;
    for (int64_t start = first; start < last; start += CHUNK) {
        int64_t rows = last - start < CHUNK ? last - start : CHUNK;
        for (int64_t r = 0; r < rows; r++) memcpy(x + r * d, m->embedding + tokens[start + r] * d, d * sizeof(float));
        for (int64_t l = 0; l < m->layers; l++) {
            const Layer *layer = m->layer + l;
            for (int64_t r = 0; r < rows; r++) normalise(d, x + r * d, layer->norm, m->eps, h + r * d);
            times(rows, h, d, layer->qkv, wide, qkv, wide, 0);
            for (int64_t r = 0; r < rows; r++) {
                const int64_t row = start + r, at = c->position[row], block = c->block[row], before = at - c->used;
                const int64_t longest = c->longest[block], prompt = c->prompt[row] * m->groups * longest * head;
                const float *block_k = c->block_k[l * c->blocks + block] + prompt;
                const float *block_v = c->block_v[l * c->blocks + block] + prompt;
                const float *cos = c->cos + at * (head / 2), *sin = c->sin + at * (head / 2);
                float *q = qkv + r * wide, *k = q + q_width, *v = k + kv_width;
                if (layer->qkv_bias)
                    for (int64_t i = 0; i < wide; i++) q[i] += layer->qkv_bias[i];
                for (int64_t i = 0; i < m->heads; i++) {
                    if (layer->q_norm) normalise(head, q + i * head, layer->q_norm, m->eps, q + i * head);
                    rotate(head, q + i * head, cos, sin);
                    for (int64_t e = 0; e < head; e++) q[i * head + e] *= scale;
                }
                for (int64_t g = 0; g < m->groups; g++) {
                    if (layer->k_norm) normalise(head, k + g * head, layer->k_norm, m->eps, k + g * head);
                    rotate(head, k + g * head, cos, sin);
                    const int64_t own = (row * m->groups + g) * c->capacity * head;
                    memcpy(c->k[l] + own + c->used * head, k + g * head, head * sizeof(float));
                    memcpy(c->v[l] + own + c->used * head, v + g * head, head * sizeof(float));
                    for (int64_t i = g * shared; i < (g + 1) * shared; i++)
                        attend(head, q + i * head, before, block_k + g * longest * head, block_v + g * longest * head,
                               c->used + 1, c->k[l] + own, c->v[l] + own, weights, mixed + r * q_width + i * head);
                }
            }
            times(rows, mixed, q_width, layer->out, d, x, d, 1);
            for (int64_t r = 0; r < rows; r++) normalise(d, x + r * d, layer->mlp_norm, m->eps, h + r * d);
            times(rows, h, d, layer->gate_up, 2 * m->inner, inner, 2 * m->inner, 0);
            for (int64_t r = 0; r < rows; r++) { /* silu(gate) * up, packed to the front: row r ends before row r + 1 is read */
                const float *gate = inner + r * 2 * m->inner, *up = gate + m->inner;
                float *to = inner + r * m->inner;
                for (int64_t i = 0; i < m->inner; i += LANES) {
                    vec y = load(gate + i);
                    store(to + i, y / (1.0f + exponential(-y)) * load(up + i));
                }
            }
            times(rows, inner, m->inner, layer->down, d, x, d, 1);
        }
        for (int64_t r = 0; r < rows; r++) normalise(d, x + r * d, m->norm, m->eps, h + r * d);
        times(rows, h, d, m->vocabulary, m->outputs, logits + start * m->outputs, m->outputs, 0);
    }
}

/* One token of each row, `space` having `room` numbers for each thread. The threads are those of the OpenMP that torch runs on:
   they wait for work awake, and a second pool would fight with them for the cores. */
void step(const Model *m, const Cache *c, const int64_t *tokens, int64_t rows, float *logits, float *space, int64_t room,
          int64_t threads) {
    threads = threads < rows ? threads : rows;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int64_t i = 0; i < threads; i++)
        stretch(m, c, tokens, rows * i / threads, rows * (i + 1) / threads, logits, space + i * room);
}
