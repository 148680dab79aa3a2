/* Products of a training pass in bfloat16, and the output layer with its log-probabilities. Sums are float, and every number is
   summed in one order, whatever the number of threads. */

/* A matrix (rows, depth) as it lies in memory: `along`, its rows one after the other; or across, as (depth, rows). */
typedef struct {
    const bf16 *at;
    int64_t apart; /* numbers from one line in memory to the next */
    int along;
} Matrix;

static inline uvec pairs(const bf16 *first, const bf16 *second) {
    uvec low = __builtin_convertvector(*(const hvec *)first, uvec);
    return second ? low | __builtin_convertvector(*(const hvec *)second, uvec) << 16 : low;
}

/* Rows `first` to `first` + PANEL - 1 of a matrix as a panel: (depth / 2, PANEL, 2), rows beyond `rows` and an odd depth's last
   partner 0. */
static void panel16(const Matrix *m, int64_t rows, int64_t depth, int64_t first, bf16 *packed) {
    const int64_t whole = depth - depth % 2;
    if (first + PANEL > rows) memset(packed, 0, (depth + depth % 2) * PANEL * sizeof(bf16));
    const int64_t here = rows - first < PANEL ? rows - first : PANEL;
    if (m->along) {
        for (int64_t r = 0; r < here; r++) {
            const bf16 *from = m->at + (first + r) * m->apart;
            for (int64_t i = 0; i < whole; i += 2) memcpy(packed + i * PANEL + 2 * r, from + i, 2 * sizeof(bf16));
            if (whole < depth) packed[whole * PANEL + 2 * r] = from[whole], packed[whole * PANEL + 2 * r + 1] = 0;
        }
        return;
    }
    for (int64_t i = 0; i < depth; i += 2, packed += 2 * PANEL) {
        const bf16 *from = m->at + i * m->apart + first, *next = i + 1 < depth ? from + m->apart : 0;
        if (here == PANEL)
            for (int64_t j = 0; j < PANEL; j += LANES) *(uvec *)(packed + 2 * j) = pairs(from + j, next ? next + j : 0);
        else
            for (int64_t j = 0; j < here; j++) packed[2 * j] = from[j], packed[2 * j + 1] = next ? next[j] : 0;
    }
}

/* A tile of a matrix of `rows` rows, `at` to `at` + size - 1: (depth / 2, size, 2). */
static void tile16(const Matrix *m, int64_t rows, int64_t depth, int64_t at, int64_t size, bf16 *packed) {
    const int64_t row = m->along ? m->apart : 1, next = m->along ? 1 : m->apart, whole = depth - depth % 2;
    const bf16 *from = m->at + at * row;
    int64_t done = 0;
    if (m->along) {
        for (int64_t r = 0; r < size; r++)
            for (int64_t i = 0; i < whole; i += 2) memcpy(packed + i * size + 2 * r, from + r * row + i, 2 * sizeof(bf16));
        done = whole;
    }
#if LANES == 16
    else if (at + LANES <= rows) {
        const __mmask16 own = (__mmask16)((1 << size) - 1);
        for (; done < whole; done += 2)
            _mm512_mask_storeu_epi32(packed + done * size, own, (__m512i)pairs(from + done * next, from + (done + 1) * next));
    }
#endif
    for (int64_t i = done; i < depth; i += 2)
        for (int64_t r = 0; r < size; r++) {
            packed[i * size + 2 * r] = from[r * row + i * next];
            packed[i * size + 2 * r + 1] = i + 1 < depth ? from[r * row + (i + 1) * next] : 0;
        }
}

static inline int64_t even(int64_t n) { return n + n % 2; }

/* c (rows, columns) from a (rows, depth) and b (columns, depth), columns whole panels. `tiles` has room for even(depth) * rows
   numbers, `space` for each thread's panel: even(depth) * PANEL. */
void multiply(int64_t rows, int64_t columns, int64_t depth, const bf16 *a, int64_t a_along, const bf16 *b, int64_t b_along, void *c,
              int64_t how, bf16 *tiles, bf16 *space, int64_t threads) {
    const Matrix left = {a, a_along ? depth : rows, a_along}, right = {b, b_along ? depth : columns, b_along};
    const int64_t deep = even(depth), wide = how == ROUND ? sizeof(bf16) : sizeof(float);
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic, 4)
        for (int64_t t = 0; t < tiles16(rows); t++) {
            const int64_t at = tile_at(rows, t);
            tile16(&left, rows, depth, at, tile_at(rows, t + 1) - at, tiles + at * deep);
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t p = 0; p < columns; p += PANEL) {
#ifdef _OPENMP
            bf16 *own = space + omp_get_thread_num() * deep * PANEL;
#else
            bf16 *own = space;
#endif
            panel16(&right, columns, depth, p, own);
            product16(rows, tiles, deep, own, PANEL, (char *)c + p * wide, columns, how);
        }
    }
}

#define STRETCH 256 /* tokens of the vocabulary that are looked at together */
#define PARTS 8     /* of the vocabulary, each with sums of its own */

/* States (M, D), the output layer's weights (V, D), M targets, the temperature; for each of the stretches e (M, STRETCH), which
   is e^(logit - most), and most (M,); log (M,) is the logarithm of what e^logit sums to. */
typedef struct {
    int64_t rows, width, vocabulary;
    float heat;
    const bf16 *states, *head;
    const int64_t *targets;
    bf16 *e;
    float *most, *log;
} Output;

static inline int64_t stretches(const Output *o) { return (o->vocabulary + STRETCH - 1) / STRETCH; }

/* Logits of a row become e^(logit - *most), 0 behind `n`; *most rises to the greatest. What was summed before is scaled by *fell. */
static void lift(float *logits, int64_t n, float heat, float *most, float *fell, double *total, double *weighted) {
    vec top = all(*most);
    for (int64_t j = n; j < STRETCH; j++) logits[j] = -1e30f;
    for (int64_t j = 0; j < STRETCH; j += LANES) {
        vec x = load(logits + j) / heat;
        store(logits + j, x);
        top = where(x > top, x, top);
    }
    float greatest = top[0];
    for (int i = 1; i < LANES; i++) greatest = top[i] > greatest ? top[i] : greatest;
    vec sums = all(0), products = all(0);
    for (int64_t j = 0; j < STRETCH; j += LANES) {
        vec x = load(logits + j) - greatest, power = where(x < -87.0f, all(0), exponential(x));
        sums += power;
        products += power * where(x < -87.0f, all(0), x);
        store(logits + j, power);
    }
    /* `weighted` sums power * (logit - most): that of what was summed before moves with most. */
    *fell = *most > -1e29f ? expf(*most - greatest) : 0.0f;
    *weighted = (*most > -1e29f ? *fell * (*weighted + *total * (*most - greatest)) : 0.0) + sum(products);
    *total = *fell * *total + sum(sums);
    *most = greatest;
}

static int64_t own_numbers(const Output *o) {
    const int64_t deep = even(o->width);
    return o->rows * STRETCH + (deep > STRETCH ? deep : STRETCH) * PANEL / 2 + o->rows * STRETCH / 2 + 64;
}

/* Floats of scratch: for each part its sums, for each thread what it works with. */
int64_t output_scratch(const Output *o, int64_t expected, int64_t threads) {
    return even(o->width) * o->rows + PARTS * o->rows * (6 + (expected ? o->width : 0)) + threads * own_numbers(o);
}

/* One part's stretches. mean (M, D) is summed from e times the head's rows where it is not 0. */
static void output_part(const Output *o, int64_t part, const bf16 *tiles, double *total, double *weighted, float *most, float *hit,
                        float *mean, float *own) {
    const int64_t rows = o->rows, width = o->width, last = stretches(o) * (part + 1) / PARTS;
    float *logits = own;
    bf16 *panel = (bf16 *)(own + rows * STRETCH), *e = panel + (even(width) > STRETCH ? even(width) : STRETCH) * PANEL;
    for (int64_t r = 0; r < rows; r++) total[r] = weighted[r] = 0, most[r] = -1e30f, hit[r] = 0;
    for (int64_t s = stretches(o) * part / PARTS; s < last; s++) {
        const int64_t first = s * STRETCH, n = o->vocabulary - first < STRETCH ? o->vocabulary - first : STRETCH;
        const Matrix down = {o->head, width, 1}, up = {o->head + first * width, width, 0};
        for (int64_t p = 0; p < n; p += PANEL) {
            panel16(&down, o->vocabulary, width, first + p, panel);
            product16(rows, tiles, even(width), panel, PANEL, logits + p, STRETCH, WRITE);
        }
        for (int64_t r = 0; r < rows; r++) {
            float fell, *row = logits + r * STRETCH;
            const int64_t target = o->targets[r] - first;
            if (target >= 0 && target < n) hit[r] = row[target] / o->heat;
            lift(row, n, o->heat, most + r, &fell, total + r, weighted + r);
            if (!mean) continue;
            if (fell < 1.0f)
                for (int64_t i = 0; i < width; i += LANES) store(mean + r * width + i, load(mean + r * width + i) * fell);
            o->most[s * rows + r] = most[r];
            bf16 *kept = o->e + (s * rows + r) * STRETCH;
            for (int64_t j = 0; j < STRETCH; j += LANES) store16(kept + j, load(row + j));
        }
        if (!mean) continue;
        rows16(rows, STRETCH, o->e + s * rows * STRETCH, STRETCH, 0, tiles16(rows), e);
        for (int64_t p = 0; p < width; p += PANEL) { /* of the stretch's rows, those beyond the vocabulary weigh nothing */
            panel16(&up, width, n, p, panel);
            memset(panel + even(n) * PANEL, 0, (STRETCH - even(n)) * PANEL * sizeof(bf16));
            product16(rows, e, STRETCH, panel, PANEL, mean + p, width, ADD);
        }
    }
}

/* Log-probabilities and entropies (M,) of the targets, and where `mean` is not 0, for the way back: e, most, log and mean (M, D),
   the head's rows weighed by their probabilities. */
void output_forward(const Output *o, float *logp, float *entropy, float *mean, float *space, int64_t threads) {
    const int64_t rows = o->rows, width = o->width;
    bf16 *tiles = (bf16 *)space;
    float *most = space + even(width) * rows, *hit = most + PARTS * rows, *means = hit + PARTS * rows;
    double *total = (double *)(means + (mean ? PARTS * rows * width : 0)), *weighted = total + PARTS * rows;
    float *own = (float *)(weighted + PARTS * rows);
    rows16(rows, even(width), o->states, width, 0, tiles16(rows), tiles);
    if (mean) memset(means, 0, PARTS * rows * width * sizeof(float));
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t part = 0; part < PARTS; part++) {
#ifdef _OPENMP
            float *mine = own + omp_get_thread_num() * own_numbers(o);
#else
            float *mine = own;
#endif
            const int64_t at = part * rows;
            output_part(o, part, tiles, total + at, weighted + at, most + at, hit + at, mean ? means + at * width : 0, mine);
        }
#pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; r++) {
            float greatest = -1e30f, reached = 0;
            double sums = 0, products = 0;
            for (int64_t p = 0; p < PARTS; p++) greatest = most[p * rows + r] > greatest ? most[p * rows + r] : greatest;
            for (int64_t p = 0; p < PARTS; p++) {
                const double apart = most[p * rows + r] - greatest, scale = apart < -87 ? 0 : exp(apart), t = total[p * rows + r];
                sums += scale * t;
                products += scale > 0 ? scale * (weighted[p * rows + r] + t * apart) : 0;
                reached += hit[p * rows + r];
            }
            o->log[r] = greatest + (float)log(sums);
            logp[r] = reached - o->log[r];
            entropy[r] = (float)(log(sums) - products / sums);
            if (!mean) continue;
            float *to = mean + r * width;
            for (int64_t p = 0; p < PARTS; p++) {
                const float scale = expf(most[p * rows + r] - o->log[r]), *from = means + (p * rows + r) * width;
                for (int64_t i = 0; i < width; i += LANES)
                    store(to + i, p ? load(to + i) + load(from + i) * scale : load(from + i) * scale);
            }
        }
    }
}

/* From the gradient g (M,) of the log-probabilities: that of the states, and that of the head (V, D), added where it is not 0. */
void output_backward(const Output *o, const float *g, const float *mean, bf16 *d_states, float *d_head, float *space,
                     int64_t threads) {
    const int64_t rows = o->rows, width = o->width, deep = even(rows), room = deep * (2 * width + STRETCH) / 2 + 64;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t r = 0; r < rows; r++) {
            const bf16 *chosen = o->head + o->targets[r] * width;
            for (int64_t i = 0; i < width; i += LANES)
                store16(d_states + r * width + i, (load16(chosen + i) - load(mean + r * width + i)) * (g[r] / o->heat));
        }
#pragma omp for schedule(dynamic, 1)
        for (int64_t s = 0; s < (d_head ? stretches(o) : 0); s++) {
#ifdef _OPENMP
            bf16 *tiles = (bf16 *)(space + omp_get_thread_num() * room), *panel = tiles + deep * STRETCH, *scaled = panel + deep * width;
#else
            bf16 *tiles = (bf16 *)space, *panel = tiles + deep * STRETCH, *scaled = panel + deep * width;
#endif
            const int64_t first = s * STRETCH, n = o->vocabulary - first < STRETCH ? o->vocabulary - first : STRETCH;
            const Matrix e = {o->e + s * rows * STRETCH, STRETCH, 0};
            for (int64_t t = 0; t < tiles16(n); t++)
                tile16(&e, STRETCH, rows, tile_at(n, t), tile_at(n, t + 1) - tile_at(n, t), tiles + tile_at(n, t) * deep);
            for (int64_t r = 0; r < rows; r++) { /* the states, scaled so that e are probabilities */
                const float scale = -g[r] / o->heat * expf(o->most[s * rows + r] - o->log[r]);
                for (int64_t i = 0; i < width; i += LANES) store16(scaled + r * width + i, load16(o->states + r * width + i) * scale);
            }
            const Matrix states = {scaled, width, 0};
            for (int64_t p = 0; p < width; p += PANEL) panel16(&states, width, rows, p, panel + p * deep);
            product16(n, tiles, deep, panel, width, d_head + first * width, width, ADD);
            for (int64_t r = 0; r < rows; r++) {
                const int64_t target = o->targets[r] - first;
                if (target < 0 || target >= n) continue;
                float *to = d_head + o->targets[r] * width;
                for (int64_t i = 0; i < width; i += LANES)
                    store(to + i, load(to + i) + load16(o->states + r * width + i) * (g[r] / o->heat));
            }
        }
    }
}

int64_t output_back_scratch(const Output *o, int64_t threads) {
    return threads * (even(o->rows) * (2 * o->width + STRETCH) / 2 + 64);
}
