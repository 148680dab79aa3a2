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

/* y = x / rms(x) * weight by rows; `scale` (rows,) keeps 1 / rms for the way back. */
void norm_forward(int64_t rows, int64_t n, const float *x, const float *weight, double eps, float *y, float *scale,
                  int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *from = x + r * n;
        vec squares = all(0);
        for (int64_t i = 0; i < n; i += LANES) squares += load(from + i) * load(from + i);
        scale[r] = 1.0f / sqrtf(sum(squares) / (float)n + (float)eps);
        for (int64_t i = 0; i < n; i += LANES) store(y + r * n + i, load(from + i) * scale[r] * load(weight + i));
    }
}

/* From the gradient g of y: that of x, and that of the weight in `threads` parts (threads, n), which begin as zeros. */
void norm_backward(int64_t rows, int64_t n, const float *x, const float *weight, const float *scale, const float *g, float *dx,
                   float *dweight, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int64_t t = 0; t < threads; t++) {
        float *own = dweight + t * n;
        for (int64_t r = rows * t / threads; r < rows * (t + 1) / threads; r++) {
            const float *from = x + r * n, *back = g + r * n, s = scale[r];
            vec dot = all(0);
            for (int64_t i = 0; i < n; i += LANES) {
                vec gx = load(back + i) * load(from + i);
                dot += gx * load(weight + i);
                store(own + i, load(own + i) + gx * s);
            }
            const float along = sum(dot) * s * s * s / (float)n;
            for (int64_t i = 0; i < n; i += LANES)
                store(dx + r * n + i, load(back + i) * load(weight + i) * s - load(from + i) * along);
        }
    }
}

/* y = silu(gate) * up. `count` is whole vectors, here and on the way back. */
void gate_forward(int64_t count, const float *gate, const float *up, float *y, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i += LANES) {
        vec x = load(gate + i);
        store(y + i, x / (1.0f + exponential(-x)) * load(up + i));
    }
}

void gate_backward(int64_t count, const float *gate, const float *up, const float *g, float *dgate, float *dup,
                   int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i += LANES) {
        vec x = load(gate + i), back = load(g + i), open = 1.0f / (1.0f + exponential(-x)), silu = x * open;
        store(dup + i, back * silu);
        store(dgate + i, back * load(up + i) * (open + silu * (1.0f - open)));
    }
}

/* Rotary embedding of x (tokens, heads, head). cos is (tokens, head / 2), sin (tokens, head), of which the second half counts: as
   transformer.rope makes them. `way` is 1, or -1 to turn back. */
void rotate(int64_t tokens, int64_t heads, int64_t head, const float *x, const float *cos, const float *sin, float way, float *y,
            int64_t threads) {
    const int64_t half = head / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < tokens; t++) {
        const float *restrict c = cos + t * half, *restrict s = sin + t * head + half;
        for (int64_t h = 0; h < heads; h++) {
            const float *restrict from = x + (t * heads + h) * head;
            float *restrict to = y + (t * heads + h) * head;
            for (int64_t i = 0; i < half; i++) {
                to[i] = from[i] * c[i] - way * from[i + half] * s[i];
                to[i + half] = from[i + half] * c[i] + way * from[i] * s[i];
            }
        }
    }
}

/* Rows by family: a beginning of `first_n` tokens (0 where there is none) from number `first_at` of the pack, then the rows
   `rows[f]` to `rows[f + 1] - 1` that continue it, `n` tokens from number `at` each. */
typedef struct {
    int64_t heads, groups, head, families, longest_first, longest; /* the longest beginning, and the longest row or beginning */
    const int64_t *first_at, *first_n, *rows, *at, *n;
} Shape;

static inline int64_t whole(int64_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

/* x (n, head), its rows `apart` numbers from each other, as the b of a product: with its rows for columns, padded with zeros to
   whole panels, or as it is. */
static void across(int64_t n, int64_t head, const float *x, int64_t apart, float *packed) {
    for (int64_t t = 0; t < whole(n); t++) {
        float *to = packed + t / PANEL * head * PANEL + t % PANEL;
        for (int64_t e = 0; e < head; e++) to[e * PANEL] = t < n ? x[t * apart + e] : 0.0f;
    }
}

static void along(int64_t n, int64_t head, const float *x, int64_t apart, float *packed) {
    for (int64_t p = 0; p < head; p += PANEL)
        for (int64_t t = 0; t < n; t++, packed += PANEL) memcpy(packed, x + t * apart + p, PANEL * sizeof(float));
}

/* Keys and values of a stretch of tokens, one head. The second two are needed on the way back only. */
typedef struct {
    int64_t n;
    float *k_across, *v_along, *v_across, *k_along;
} Part;

static int64_t part_numbers(int64_t n, int64_t head) { return 4 * whole(n) * head; }

static Part part(const Shape *s, int64_t at, int64_t n, const float *k, const float *v, int64_t g, int back, float *space) {
    const int64_t apart = s->groups * s->head, size = whole(n) * s->head;
    Part made = {n, space, space + size, space + 2 * size, space + 3 * size};
    const float *keys = k + at * apart + g * s->head, *values = v + at * apart + g * s->head;
    across(n, s->head, keys, apart, made.k_across);
    along(n, s->head, values, apart, made.v_along);
    if (back) {
        across(n, s->head, values, apart, made.v_across);
        along(n, s->head, keys, apart, made.k_along);
    }
    return made;
}

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

/* One row's queries over its beginning and over itself. */
static void attend_row(const Shape *s, int64_t g, int64_t at, const Part *before, const Part *own, const float *q, float *out,
                       float *logs, float *scores) {
    const int64_t head = s->head, apart = s->heads * head, shared = s->heads / s->groups, width = whole(before->n) + whole(own->n);
    const float scale = 1.0f / sqrtf((float)head);
    for (int64_t h = g * shared; h < (g + 1) * shared; h++)
        for (int64_t start = 0; start < own->n; start += BLOCK) {
            const int64_t rows = own->n - start < BLOCK ? own->n - start : BLOCK, end = start + rows;
            const int64_t here = (at + start) * apart + h * head;
            against(s, rows, q + here, apart, before->k_across, before->n, own->k_across, end, scores, width);
            float total[BLOCK];
            for (int64_t r = 0; r < rows; r++)
                total[r] = soften(scores + r * width, before->n, start + r + 1, end, scale, 0, logs + (at + start + r) * s->heads + h);
            mixed(s, rows, scores, width, before->v_along, before->n, own->v_along, own->n, end, out + here, apart);
            for (int64_t r = 0; r < rows; r++) {
                float *o = out + here + r * apart;
                for (int64_t e = 0; e < head; e += LANES) store(o + e, load(o + e) / total[r]);
            }
        }
}

/* What attention and its way back read, and what they write; `logs` (N, H) is written in the one and read in the other. */
typedef struct {
    const float *q, *k, *v, *out, *g;
    float *logs, *dq, *dk, *dv;
} Numbers;

static void attend_row_back(const Shape *s, int64_t group, int64_t at, int64_t first_at, const Part *before, const Part *own,
                            const Numbers *x, float *space) {
    const int64_t head = s->head, apart = s->heads * head, kv = s->groups * head, shared = s->heads / s->groups;
    const int64_t width = whole(before->n) + whole(own->n), n = own->n;
    const float scale = 1.0f / sqrtf((float)head);
    float *p = space, *d = p + BLOCK * width, *q_along = d + BLOCK * width, *g_along = q_along + n * head;
    for (int64_t h = group * shared; h < (group + 1) * shared; h++) {
        along(n, head, x->q + at * apart + h * head, apart, q_along);
        along(n, head, x->g + at * apart + h * head, apart, g_along);
        for (int64_t start = 0; start < n; start += BLOCK) {
            const int64_t rows = n - start < BLOCK ? n - start : BLOCK, end = start + rows;
            const int64_t here = (at + start) * apart + h * head, used = whole(before->n) + whole(end);
            against(s, rows, x->q + here, apart, before->k_across, before->n, own->k_across, end, p, width);
            against(s, rows, x->g + here, apart, before->v_across, before->n, own->v_across, end, d, width);
            for (int64_t r = 0; r < rows; r++) {
                const float *o = x->out + here + r * apart, *g = x->g + here + r * apart;
                float *pr = p + r * width, *dr = d + r * width;
                soften(pr, before->n, start + r + 1, end, scale, x->logs + (at + start + r) * s->heads + h, 0);
                vec both = all(0);
                for (int64_t e = 0; e < head; e += LANES) both += load(o + e) * load(g + e);
                const float mean = sum(both);
                for (int64_t t = 0; t < used; t += LANES) store(dr + t, load(pr + t) * (load(dr + t) - mean) * scale);
            }
            mixed(s, rows, d, width, before->k_along, before->n, own->k_along, n, end, x->dq + here, apart);
            const float *q_block = q_along + start * PANEL, *g_block = g_along + start * PANEL;
            const int64_t first = first_at * kv + group * head, mine = at * kv + group * head, skip = whole(before->n);
            product(before->n, d, 1, width, rows, q_block, n * PANEL, head, x->dk + first, kv, 1);
            product(before->n, p, 1, width, rows, g_block, n * PANEL, head, x->dv + first, kv, 1);
            product(end, d + skip, 1, width, rows, q_block, n * PANEL, head, x->dk + mine, kv, 1);
            product(end, p + skip, 1, width, rows, g_block, n * PANEL, head, x->dv + mine, kv, 1);
        }
    }
}

/* Numbers of scratch that a thread needs. */
int64_t attention_scratch(const Shape *s) {
    const int64_t width = whole(s->longest_first) + whole(s->longest);
    return part_numbers(s->longest_first, s->head) + part_numbers(s->longest, s->head) + 2 * BLOCK * width +
           2 * whole(s->longest) * s->head;
}

/* Causal attention within rows, one family and one head of keys and values at a time: nobody else writes what that touches.
   `back` is 0 on the way there (x->out is then written) and 1 on the way back, where dq, dk and dv begin as zeros. */
void attention(const Shape *s, const Numbers *x, int back, float *space, int64_t room, int64_t threads) {
    const Part none = {0};
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
    for (int64_t i = 0; i < s->families * s->groups; i++) {
#ifdef _OPENMP
        float *own_space = space + omp_get_thread_num() * room;
#else
        float *own_space = space;
#endif
        const int64_t f = i / s->groups, g = i % s->groups, first_at = s->first_at[f];
        float *rest = own_space + part_numbers(s->longest_first, s->head), *scores = rest + part_numbers(s->longest, s->head);
        const Part first = part(s, first_at, s->first_n[f], x->k, x->v, g, back, own_space);
        if (first.n && back) attend_row_back(s, g, first_at, first_at, &none, &first, x, scores);
        if (first.n && !back) attend_row(s, g, first_at, &none, &first, x->q, (float *)x->out, x->logs, scores);
        for (int64_t r = s->rows[f]; r < s->rows[f + 1]; r++) {
            const Part own = part(s, s->at[r], s->n[r], x->k, x->v, g, back, rest);
            if (back) attend_row_back(s, g, s->at[r], first_at, &first, &own, x, scores);
            if (!back) attend_row(s, g, s->at[r], &first, &own, x->q, (float *)x->out, x->logs, scores);
        }
    }
}
