/* The decoding step for numbers of one kind: NUMBER is float, or with HALF bfloat16. KIND makes the names of both differ.

   In bfloat16 are the weights, keys and values, and what goes into a product; what comes out of it, a row's state, softmax and
   norms are float. */

#ifdef HALF
#define GET load16
#define PUT store16
#else
#define GET load
#define PUT store
#endif

/* c (rows, n) (+)= a (rows, k) b, b packed; `tiles` has room for a once more. */
static void KIND(times)(int64_t rows, const NUMBER *a, int64_t k, const NUMBER *b, int64_t n, float *c, int64_t ldc, int add,
                        NUMBER *tiles) {
#ifdef HALF
    rows16(rows, k, a, k, 0, tiles16(rows), tiles);
    product16(rows, tiles, k, b, n, c, ldc, add ? ADD : WRITE);
#else
    product(rows, a, k, 1, k, b, k * PANEL, n, c, ldc, add);
#endif
}

static void KIND(normalise)(int64_t n, const float *x, const float *weight, double eps, NUMBER *y) {
    vec squares = all(0);
    for (int64_t i = 0; i < n; i += LANES) squares += load(x + i) * load(x + i);
    float scale = 1.0f / sqrtf(sum(squares) / (float)n + (float)eps);
    for (int64_t i = 0; i < n; i += LANES) PUT(y + i, load(x + i) * scale * load(weight + i));
}

#ifdef HALF
/* Sixteen sums across a vector at once; elsewhere one by one. */
static inline void across(const vec *p, float *found) {
#if LANES == 16
    __m512 s[8], u[4];
    for (int i = 0; i < 8; i++) {
        __m512 a = (__m512)p[2 * i], b = (__m512)p[2 * i + 1];
        s[i] = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    }
    for (int i = 0; i < 4; i++) {
        __m512d a = _mm512_castps_pd(s[2 * i]), b = _mm512_castps_pd(s[2 * i + 1]);
        u[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    for (int i = 0; i < 2; i++)
        s[i] = _mm512_add_ps(_mm512_shuffle_f32x4(u[2 * i], u[2 * i + 1], 0x88), _mm512_shuffle_f32x4(u[2 * i], u[2 * i + 1], 0xdd));
    store(found, (vec)_mm512_add_ps(_mm512_shuffle_f32x4(s[0], s[1], 0x88), _mm512_shuffle_f32x4(s[0], s[1], 0xdd)));
#else
    for (int i = 0; i < LANES; i++) found[i] = sum(p[i]);
#endif
}

static inline vec products_half(int64_t head, const bf16 *a, const bf16 *b) {
    vec s = all(0);
    for (int64_t e = 0; e < head; e += PANEL) s = dot(s, *(const ivec *)(a + e), *(const ivec *)(b + e));
    return s;
}

/* `found` has room for whole vectors. */
static void scores_half(int64_t n, int64_t head, const bf16 *q, const bf16 *k, float *found) {
    for (int64_t t = 0; t < n; t += LANES) {
        vec p[LANES];
        for (int i = 0; i < LANES; i++) p[i] = t + i < n ? products_half(head, q, k + (t + i) * head) : all(0);
        across(p, found + t);
    }
}

/* out += the sum of v's rows, weighted: even and odd tokens apart, so that fewer additions wait for the one before. */
static void mix_half(int64_t n, int64_t head, const float *weight, const bf16 *v, float *out) {
    for (int64_t e = 0; e < head; e += PANEL) {
        vec s[4] = {load(out + e), load(out + e + LANES), all(0), all(0)};
        int64_t t = 0;
        for (; t + 2 <= n; t += 2)
            for (int i = 0; i < 4; i++) s[i] += weight[t + i / 2] * load16(v + (t + i / 2) * head + e + i % 2 * LANES);
        for (int i = 0; t < n && i < 2; i++) s[i] += weight[t] * load16(v + t * head + e + i * LANES);
        store(out + e, s[0] + s[2]);
        store(out + e + LANES, s[1] + s[3]);
    }
}
#else
static inline vec products_float(int64_t head, const float *a, const float *b) {
    vec s = load(a) * load(b);
    for (int64_t e = LANES; e < head; e += LANES) s += load(a + e) * load(b + e);
    return s;
}

static void scores_float(int64_t n, int64_t head, const float *q, const float *k, float *found) {
    int64_t t = 0;
#if defined(__AVX2__) && LANES == 8 /* eight sums across a vector at once; one by one they cost more than the products */
    for (; t + 8 <= n; t += 8) {
        const float *at = k + t * head;
        __m256 p[8];
        for (int i = 0; i < 8; i++) p[i] = (__m256)products_float(head, q, at + i * head);
        for (int i = 0; i < 4; i++) p[i] = _mm256_hadd_ps(p[2 * i], p[2 * i + 1]);
        __m256 low = _mm256_hadd_ps(p[0], p[1]), high = _mm256_hadd_ps(p[2], p[3]);
        store(found + t, (vec)(_mm256_permute2f128_ps(low, high, 0x20) + _mm256_permute2f128_ps(low, high, 0x31)));
    }
#endif
    for (; t < n; t++) found[t] = sum(products_float(head, q, k + t * head));
}

/* out += the sum of v's rows, weighted: four vectors at a time, so that no addition waits for the one before. */
static void mix_float(int64_t n, int64_t head, const float *weight, const float *v, float *out) {
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

#endif

/* One query over its prompt and over what its row has generated; `weights` has room for both and a vector more. */
static void KIND(attend)(int64_t head, const float *q, int64_t before, const NUMBER *pk, const NUMBER *pv, int64_t own, const NUMBER *k,
                         const NUMBER *v, float *weights, NUMBER *to) {
    int64_t n = before + own;
#ifdef HALF
    bf16 asked[head];
    float out[head];
    for (int64_t e = 0; e < head; e += LANES) store16(asked + e, load(q + e));
    scores_half(before, head, asked, pk, weights);
    scores_half(own, head, asked, k, weights + before);
#else
    float *out = to;
    scores_float(before, head, q, pk, weights);
    scores_float(own, head, q, k, weights + before);
#endif
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
    KIND(mix)(before, head, weights, pv, out);
    KIND(mix)(own, head, weights + before, v, out);
    float scale = 1.0f / sum(total);
    for (int64_t e = 0; e < head; e += LANES) PUT(to + e, load(out + e) * scale);
}

/* Tokens of rows first to last - 1 through the model: keys and values are added to the cache, logits (rows, outputs) written. */
static void KIND(stretch)(const Model *m, const Cache *c, const int64_t *tokens, int64_t first, int64_t last, float *logits,
                    float *space) {
    const int64_t d = m->width, head = m->head, q_width = m->heads * head, kv_width = m->groups * head, wide = widest(m);
    const int64_t shared = m->heads / m->groups;
    const float scale = 1.0f / sqrtf((float)head);
    float *x = space, *qkv = x + 2 * CHUNK * d, *inner = qkv + CHUNK * (wide + q_width);
    NUMBER *h = (NUMBER *)(x + CHUNK * d), *mixed = (NUMBER *)(qkv + CHUNK * wide), *gated = (NUMBER *)inner;
    NUMBER *tiles = (NUMBER *)(inner + CHUNK * 2 * m->inner);
    float *weights = inner + CHUNK * 2 * m->inner + CHUNK * deepest(m);
    for (int64_t start = first; start < last; start += CHUNK) {
        int64_t rows = last - start < CHUNK ? last - start : CHUNK;
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < d; i += LANES)
                store(x + r * d + i, GET((const NUMBER *)m->embedding + tokens[start + r] * d + i));
        for (int64_t l = 0; l < m->layers; l++) {
            const Layer *layer = m->layer + l;
            for (int64_t r = 0; r < rows; r++) KIND(normalise)(d, x + r * d, layer->norm, m->eps, h + r * d);
            KIND(times)(rows, h, d, layer->qkv, wide, qkv, wide, 0, tiles);
            for (int64_t r = 0; r < rows; r++) {
                const int64_t row = start + r, at = c->position[row], block = c->block[row], before = at - c->used;
                const int64_t longest = c->longest[block], prompt = c->prompt[row] * m->groups * longest * head;
                const NUMBER *block_k = (const NUMBER *)c->block_k[l * c->blocks + block] + prompt;
                const NUMBER *block_v = (const NUMBER *)c->block_v[l * c->blocks + block] + prompt;
                const float *cos = c->cos + at * (head / 2), *sin = c->sin + at * (head / 2);
                float *q = qkv + r * wide, *k = q + q_width, *v = k + kv_width;
                if (layer->qkv_bias)
                    for (int64_t i = 0; i < wide; i++) q[i] += layer->qkv_bias[i];
                for (int64_t i = 0; i < m->heads; i++) {
                    if (layer->q_norm) normalise_float(head, q + i * head, layer->q_norm, m->eps, q + i * head);
                    rotate(head, q + i * head, cos, sin);
                    for (int64_t e = 0; e < head; e++) q[i * head + e] *= scale;
                }
                for (int64_t g = 0; g < m->groups; g++) {
                    if (layer->k_norm) normalise_float(head, k + g * head, layer->k_norm, m->eps, k + g * head);
                    rotate(head, k + g * head, cos, sin);
                    const int64_t own = (row * m->groups + g) * c->capacity * head;
                    NUMBER *own_k = (NUMBER *)c->k[l] + own, *own_v = (NUMBER *)c->v[l] + own;
                    for (int64_t e = 0; e < head; e += LANES) {
                        PUT(own_k + c->used * head + e, load(k + g * head + e));
                        PUT(own_v + c->used * head + e, load(v + g * head + e));
                    }
                    for (int64_t i = g * shared; i < (g + 1) * shared; i++)
                        KIND(attend)(head, q + i * head, before, block_k + g * longest * head, block_v + g * longest * head,
                               c->used + 1, own_k, own_v, weights, mixed + r * q_width + i * head);
                }
            }
            KIND(times)(rows, mixed, q_width, layer->out, d, x, d, 1, tiles);
            for (int64_t r = 0; r < rows; r++) KIND(normalise)(d, x + r * d, layer->mlp_norm, m->eps, h + r * d);
            KIND(times)(rows, h, d, layer->gate_up, 2 * m->inner, inner, 2 * m->inner, 0, tiles);
            for (int64_t r = 0; r < rows; r++) { /* silu(gate) * up, packed to the front: row r ends before row r + 1 is read */
                const float *gate = inner + r * 2 * m->inner, *up = gate + m->inner;
                NUMBER *to = gated + r * m->inner;
                for (int64_t i = 0; i < m->inner; i += LANES) {
                    vec y = load(gate + i);
                    PUT(to + i, y / (1.0f + exponential(-y)) * load(up + i));
                }
            }
            KIND(times)(rows, gated, m->inner, layer->down, d, x, d, 1, tiles);
        }
        for (int64_t r = 0; r < rows; r++) KIND(normalise)(d, x + r * d, m->norm, m->eps, h + r * d);
        KIND(times)(rows, h, d, m->vocabulary, m->outputs, logits + start * m->outputs, m->outputs, 0, tiles);
    }
}

#undef GET
#undef PUT
