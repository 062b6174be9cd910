/* The queue of unacknowledged stanzas (core/c2s/mgmt.h) against a plain list, and counts around the turn of 2^32. */
#include "../store/harness.h"

#include "core/c2s/mgmt.h"

#include <stdlib.h>

static struct str numbered(char *out, size_t n, uint32_t i, size_t pad)
{
    int len = snprintf(out, n, "<message id='%u'>%*s</message>", i, (int)pad, "");
    return str_n(out, (size_t)len);
}

static struct mgmt *roomy(uint32_t start)
{
    struct mgmt *m = mgmt_new(NULL);
    m->max_n = m->max_bytes = UINT32_MAX;
    m->out = m->acked = m->sent = start;
    return m;
}

/* What is queued is from..from+n-1, in order. */
static void check_queue(struct mgmt *m, uint32_t from, uint32_t n, size_t (*pad)(uint32_t))
{
    char text[4096];
    uint32_t i = from;
    CHECK_INT(m->n, n);
    for (struct mgmt_rec *r = mgmt_first(m); r; r = mgmt_next(m, r), i++) {
        CHECK_STR(mgmt_bytes(r), numbered(text, sizeof text, i, pad(i)));
        CHECK_INT(r->sent_s, i);
    }
    CHECK_INT(i, from + n);
}

static size_t pad_of(uint32_t i)
{
    return i * 37 % 1900;
}

static void add(struct mgmt *m, uint32_t i)
{
    char text[4096];
    mgmt_append(m, STANZA_MESSAGE, numbered(text, sizeof text, i, pad_of(i)), i, NULL);
}

static void order_and_memory(void **state)
{
    struct mgmt *m = roomy(0);
    uint32_t first = 0, next = 0;
    srand(1);
    for (int round = 0; round < 2000; round++) {
        for (int k = rand() % 5; k > 0; k--)
            add(m, next++);
        uint32_t some = m->n ? (uint32_t)rand() % (m->n + 1) : 0;
        CHECK(mgmt_take_ack(m, mgmt_acked(m) + some));
        first += some;
        check_queue(m, first, next - first, pad_of);
        CHECK_INT(m->out, next);
    }
    CHECK(mgmt_take_ack(m, m->out));
    CHECK(!m->queue.p); /* an empty queue owns nothing */
    mgmt_release(&m);
}

/* XEP-0198 §4: after 2^32 - 1 comes 0. */
static void turn(void **state)
{
    struct mgmt *m = roomy(UINT32_MAX - 2);
    for (uint32_t i = 0; i < 6; i++)
        add(m, i);
    CHECK_INT(m->out, 3);
    CHECK_INT(mgmt_acked(m), UINT32_MAX - 2);
    CHECK(!mgmt_take_ack(m, 4));
    CHECK(!mgmt_take_ack(m, UINT32_MAX - 3));
    CHECK(mgmt_take_ack(m, UINT32_MAX));
    check_queue(m, 2, 4, pad_of);
    CHECK(mgmt_take_ack(m, UINT32_MAX)); /* the same again */
    CHECK(mgmt_take_ack(m, 1));
    check_queue(m, 4, 2, pad_of);
    CHECK(!mgmt_take_ack(m, UINT32_MAX)); /* back */
    CHECK(mgmt_take_ack(m, 3));
    CHECK_INT(m->n, 0);
    CHECK(!mgmt_take_ack(m, 4));
    mgmt_release(&m);
}

/* A server that was killed knew of two; the client had five; two more came after the start. */
static void client_knows_more(void **state)
{
    struct mgmt *m = roomy(UINT32_MAX - 1);
    add(m, 0);
    add(m, 1);
    m->returned = true;
    m->sent = m->out;
    add(m, 2);
    add(m, 3);
    CHECK(mgmt_take_resume(m, 3));
    check_queue(m, 2, 2, pad_of);
    CHECK_INT(m->out, 5);
    CHECK(!mgmt_take_resume(m, 6)); /* only once */
    CHECK(mgmt_take_resume(m, 4));
    check_queue(m, 3, 1, pad_of);
    mgmt_release(&m);
}

static void set(void *arg)
{
    *(bool *)arg = true;
}

static void arenas_are_held_until_acknowledged(void **state)
{
    struct mgmt *m = roomy(0);
    struct arena *a = arena_new();
    bool gone = false;
    arena_on_release(a, set, &gone);
    m->kept = true;
    m->saving = true; /* no shard here */
    mgmt_append(m, STANZA_MESSAGE, S("<message/>"), 0, &(struct stanza){.arena = a, .kind = STANZA_MESSAGE});
    mgmt_append(m, STANZA_MESSAGE, S("<message/>"), 0, NULL);
    arena_release(&a);
    CHECK(!gone);
    CHECK(mgmt_take_ack(m, 1));
    CHECK(gone);
    mgmt_release(&m);
}

static void size(void **state)
{
    CHECK(sizeof(struct mgmt) <= 272);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_memory),
        cmocka_unit_test(turn),
        cmocka_unit_test(client_knows_more),
        cmocka_unit_test(arenas_are_held_until_acknowledged),
        cmocka_unit_test(size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
