/* The functions of train_step.c for numbers of one kind: NUMBER is float, or with HALF bfloat16. KIND makes their names.

   What stands in memory is of that kind, but for what says so; what is computed in between is float. */

#ifdef HALF
#define GET load16
#define PUT store16
#define ONE wide
#define NARROW narrow
#define FETCH(from, room) fetch(rows, head, from, apart, room)
#define STEP head
#define ROOM(to, room) room
#else
#define GET load
#define PUT store
#define ONE(x) (x)
#define NARROW(x) (x)
#define FETCH(from, room) (from)
#define STEP apart
#define ROOM(to, room) (to)
#endif

/* y = x / rms(x) * weight by rows; `scale` (rows,) keeps 1 / rms for the way back. */
void KIND(norm_forward)(int64_t rows, int64_t n, const NUMBER *x, const NUMBER *weight, double eps, NUMBER *y, float *scale,
                  int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const NUMBER *from = x + r * n;
        vec squares = all(0);
        for (int64_t i = 0; i < n; i += LANES) squares += GET(from + i) * GET(from + i);
        scale[r] = 1.0f / sqrtf(sum(squares) / (float)n + (float)eps);
        for (int64_t i = 0; i < n; i += LANES) PUT(y + r * n + i, GET(from + i) * scale[r] * GET(weight + i));
    }
}

/* From the gradient g of y: that of x, and that of the weight in `threads` parts (threads, n), which begin as zeros. */
void KIND(norm_backward)(int64_t rows, int64_t n, const NUMBER *x, const NUMBER *weight, const float *scale, const NUMBER *g, NUMBER *dx,
                   float *dweight, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int64_t t = 0; t < threads; t++) {
        float *own = dweight + t * n;
        for (int64_t r = rows * t / threads; r < rows * (t + 1) / threads; r++) {
            const NUMBER *from = x + r * n, *back = g + r * n;
            const float s = scale[r];
            vec dot = all(0);
            for (int64_t i = 0; i < n; i += LANES) {
                vec gx = GET(back + i) * GET(from + i);
                dot += gx * GET(weight + i);
                store(own + i, load(own + i) + gx * s);
            }
            const float along = sum(dot) * s * s * s / (float)n;
            for (int64_t i = 0; i < n; i += LANES)
                PUT(dx + r * n + i, GET(back + i) * GET(weight + i) * s - GET(from + i) * along);
        }
    }
}

/* y = silu(gate) * up. `count` is whole vectors, here and on the way back. */
void KIND(gate_forward)(int64_t count, const NUMBER *gate, const NUMBER *up, NUMBER *y, int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i += LANES) {
        vec x = GET(gate + i);
        PUT(y + i, x / (1.0f + exponential(-x)) * GET(up + i));
    }
}

void KIND(gate_backward)(int64_t count, const NUMBER *gate, const NUMBER *up, const NUMBER *g, NUMBER *dgate, NUMBER *dup,
                   int64_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i += LANES) {
        vec x = GET(gate + i), back = GET(g + i), open = 1.0f / (1.0f + exponential(-x)), silu = x * open;
        PUT(dup + i, back * silu);
        PUT(dgate + i, back * GET(up + i) * (open + silu * (1.0f - open)));
    }
}

/* Rotary embedding of x (tokens, heads, head). cos is (tokens, head / 2), sin (tokens, head), of which the second half counts: as
   transformer.rope makes them. `way` is 1, or -1 to turn back. */
void KIND(rotate)(int64_t tokens, int64_t heads, int64_t head, const NUMBER *x, const float *cos, const float *sin, float way, NUMBER *y,
            int64_t threads) {
    const int64_t half = head / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t t = 0; t < tokens; t++) {
        const float *restrict c = cos + t * half, *restrict s = sin + t * head + half;
        for (int64_t h = 0; h < heads; h++) {
            const NUMBER *restrict from = x + (t * heads + h) * head;
            NUMBER *restrict to = y + (t * heads + h) * head;
            int64_t i = 0;
#ifdef HALF
            for (; i + LANES <= half; i += LANES) {
                const vec a = GET(from + i), b = GET(from + i + half), turn = load(s + i) * way;
                PUT(to + i, a * load(c + i) - b * turn);
                PUT(to + i + half, b * load(c + i) + a * turn);
            }
#endif
            for (; i < half; i++) {
                const float a = ONE(from[i]), b = ONE(from[i + half]);
                to[i] = NARROW(a * c[i] - way * b * s[i]);
                to[i + half] = NARROW(b * c[i] + way * a * s[i]);
            }
        }
    }
}

/* x (n, head), its rows `apart` numbers from each other, as the b of a product: with its rows for columns, padded with zeros to
   whole panels, or as it is. */
static void KIND(across)(int64_t n, int64_t head, const NUMBER *x, int64_t apart, float *packed) {
    for (int64_t t = 0; t < whole(n); t++) {
        float *to = packed + t / PANEL * head * PANEL + t % PANEL;
        for (int64_t e = 0; e < head; e++) to[e * PANEL] = t < n ? ONE(x[t * apart + e]) : 0.0f;
    }
}

static void KIND(along)(int64_t n, int64_t head, const NUMBER *x, int64_t apart, float *packed) {
    for (int64_t p = 0; p < head; p += PANEL)
        for (int64_t t = 0; t < n; t++, packed += PANEL) {
            store(packed, GET(x + t * apart + p));
            store(packed + LANES, GET(x + t * apart + p + LANES));
        }
}

static Part KIND(part)(const Shape *s, int64_t at, int64_t n, const NUMBER *k, const NUMBER *v, int64_t g, int back, float *space) {
    const int64_t apart = s->groups * s->head, size = whole(n) * s->head;
    Part made = {n, space, space + size, space + 2 * size, space + 3 * size};
    const NUMBER *keys = k + at * apart + g * s->head, *values = v + at * apart + g * s->head;
    KIND(across)(n, s->head, keys, apart, made.k_across);
    KIND(along)(n, s->head, values, apart, made.v_along);
    if (back) {
        KIND(across)(n, s->head, values, apart, made.v_across);
        KIND(along)(n, s->head, keys, apart, made.k_along);
    }
    return made;
}

#ifdef HALF
/* Rows of a matrix whose rows are `apart`, as float and close together. */
static const float *fetch(int64_t rows, int64_t head, const bf16 *from, int64_t apart, float *to) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t e = 0; e < head; e += LANES) store(to + r * head + e, load16(from + r * apart + e));
    return to;
}
#endif

/* And back; float rows lie where they belong already. */
static void KIND(give)(int64_t rows, int64_t head, const float *from, NUMBER *to, int64_t apart) {
#ifdef HALF
    for (int64_t r = 0; r < rows; r++)
        for (int64_t e = 0; e < head; e += LANES) store16(to + r * apart + e, load(from + r * head + e));
#endif
}

/* One row's queries over its beginning and over itself. */
static void KIND(attend_row)(const Shape *s, int64_t g, int64_t at, const Part *before, const Part *own, const NUMBER *q, NUMBER *out,
                       float *logs, float *scores) {
    const int64_t head = s->head, apart = s->heads * head, shared = s->heads / s->groups, width = whole(before->n) + whole(own->n);
    const float scale = 1.0f / sqrtf((float)head);
    for (int64_t h = g * shared; h < (g + 1) * shared; h++)
        for (int64_t start = 0; start < own->n; start += BLOCK) {
            const int64_t rows = own->n - start < BLOCK ? own->n - start : BLOCK, end = start + rows;
            const int64_t here = (at + start) * apart + h * head;
            float *asked = scores + BLOCK * width, *found = asked + BLOCK * head;
            against(s, rows, FETCH(q + here, asked), STEP, before->k_across, before->n, own->k_across, end, scores, width);
            float total[BLOCK];
            for (int64_t r = 0; r < rows; r++)
                total[r] = soften(scores + r * width, before->n, start + r + 1, end, scale, 0, logs + (at + start + r) * s->heads + h);
            mixed(s, rows, scores, width, before->v_along, before->n, own->v_along, own->n, end, ROOM(out + here, found), STEP);
            for (int64_t r = 0; r < rows; r++) {
                const float *o = ROOM(out + here, found) + r * STEP;
                for (int64_t e = 0; e < head; e += LANES) PUT(out + here + r * apart + e, load(o + e) / total[r]);
            }
        }
}

/* What attention and its way back read, and what they write; `logs` (N, H) is written in the one and read in the other. dk
   and dv are sums, so they are float. */
typedef struct {
    const NUMBER *q, *k, *v, *out, *g;
    float *logs;
    NUMBER *dq;
    float *dk, *dv;
} KIND(Numbers);

static void KIND(attend_row_back)(const Shape *s, int64_t group, int64_t at, int64_t first_at, const Part *before, const Part *own,
                            const KIND(Numbers) *x, float *space) {
    const int64_t head = s->head, apart = s->heads * head, kv = s->groups * head, shared = s->heads / s->groups;
    const int64_t width = whole(before->n) + whole(own->n), n = own->n;
    const float scale = 1.0f / sqrtf((float)head);
    float *p = space, *d = p + BLOCK * width, *q_along = d + BLOCK * width, *g_along = q_along + n * head;
    float *asked = g_along + n * head, *back = asked + BLOCK * head, *found = back + BLOCK * head;
    for (int64_t h = group * shared; h < (group + 1) * shared; h++) {
        KIND(along)(n, head, x->q + at * apart + h * head, apart, q_along);
        KIND(along)(n, head, x->g + at * apart + h * head, apart, g_along);
        for (int64_t start = 0; start < n; start += BLOCK) {
            const int64_t rows = n - start < BLOCK ? n - start : BLOCK, end = start + rows;
            const int64_t here = (at + start) * apart + h * head, used = whole(before->n) + whole(end);
            against(s, rows, FETCH(x->q + here, asked), STEP, before->k_across, before->n, own->k_across, end, p, width);
            against(s, rows, FETCH(x->g + here, back), STEP, before->v_across, before->n, own->v_across, end, d, width);
            for (int64_t r = 0; r < rows; r++) {
                const NUMBER *o = x->out + here + r * apart, *g = x->g + here + r * apart;
                float *pr = p + r * width, *dr = d + r * width;
                soften(pr, before->n, start + r + 1, end, scale, x->logs + (at + start + r) * s->heads + h, 0);
                vec both = all(0);
                for (int64_t e = 0; e < head; e += LANES) both += GET(o + e) * GET(g + e);
                const float mean = sum(both);
                for (int64_t t = 0; t < used; t += LANES) store(dr + t, load(pr + t) * (load(dr + t) - mean) * scale);
            }
            mixed(s, rows, d, width, before->k_along, before->n, own->k_along, n, end, ROOM(x->dq + here, found), STEP);
            KIND(give)(rows, head, ROOM(x->dq + here, found), x->dq + here, apart);
            const float *q_block = q_along + start * PANEL, *g_block = g_along + start * PANEL;
            const int64_t first = first_at * kv + group * head, mine = at * kv + group * head, skip = whole(before->n);
            product(before->n, d, 1, width, rows, q_block, n * PANEL, head, x->dk + first, kv, 1);
            product(before->n, p, 1, width, rows, g_block, n * PANEL, head, x->dv + first, kv, 1);
            product(end, d + skip, 1, width, rows, q_block, n * PANEL, head, x->dk + mine, kv, 1);
            product(end, p + skip, 1, width, rows, g_block, n * PANEL, head, x->dv + mine, kv, 1);
        }
    }
}

/* Causal attention within rows, one family and one head of keys and values at a time: nobody else writes what that touches.
   `back` is 0 on the way there (x->out is then written) and 1 on the way back, where dq, dk and dv begin as zeros. */
void KIND(attention)(const Shape *s, const KIND(Numbers) *x, int back, float *space, int64_t room, int64_t threads) {
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
        const Part first = KIND(part)(s, first_at, s->first_n[f], x->k, x->v, g, back, own_space);
        if (first.n && back) KIND(attend_row_back)(s, g, first_at, first_at, &none, &first, x, scores);
        if (first.n && !back) KIND(attend_row)(s, g, first_at, &none, &first, x->q, (NUMBER *)x->out, x->logs, scores);
        for (int64_t r = s->rows[f]; r < s->rows[f + 1]; r++) {
            const Part own = KIND(part)(s, s->at[r], s->n[r], x->k, x->v, g, back, rest);
            if (back) KIND(attend_row_back)(s, g, s->at[r], first_at, &first, &own, x, scores);
            if (!back) KIND(attend_row)(s, g, s->at[r], &first, &own, x->q, (NUMBER *)x->out, x->logs, scores);
        }
    }
}

#undef GET
#undef PUT
#undef ONE
#undef NARROW
#undef FETCH
#undef STEP
#undef ROOM
