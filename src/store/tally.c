/* A table of fixed size, one place for each key; whoever comes to a taken place takes it over. Behind one short lock. */
#include "store/tally.h"

#include "base/hash.h"
#include <pthread.h>

#define PLACES 16384

struct place {
    uint64_t hash, n;
    uint32_t under_way; /* writes, whoever's of those that share the place */
    uint32_t version;   /* of the same */
    bool known;
};

static struct place places[TALLY__COUNT][PLACES];
static unsigned all_under_way[TALLY__COUNT];
static bool used[TALLY__COUNT]; /* before that no page of the table is there */
static bool hosts_apart;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define UNKNOWABLE UINT64_MAX

struct tally_key tally_key(enum tally_kind kind, struct str host, struct str user)
{
    return (struct tally_key){kind, (hosts_apart ? hash_str(host) * 0x9E3779B97F4A7C15u : 0) ^ hash_str(user)};
}

struct tally_key tally_key_of(enum tally_kind kind, struct str host, struct str user, struct str what)
{
    struct tally_key k = tally_key(kind, host, user);

    k.hash ^= hash_str(what) * 0xD6E8FEB86659FD93u;
    return k;
}

static struct place *place_of(struct tally_key k)
{
    return &places[k.kind][k.hash % PLACES];
}

bool tally_get(struct tally_key k, uint64_t *n_out, unsigned *under_way_out)
{
    struct place *p = place_of(k);
    bool known;

    pthread_mutex_lock(&lock);
    known = p->known && p->hash == k.hash;
    *n_out = known ? p->n : 0;
    if (under_way_out)
        *under_way_out = p->under_way;
    pthread_mutex_unlock(&lock);
    return known;
}

uint64_t tally_look(struct tally_key k)
{
    struct place *p = place_of(k);
    uint64_t look;

    pthread_mutex_lock(&lock);
    look = p->under_way || all_under_way[k.kind] ? UNKNOWABLE : p->version;
    pthread_mutex_unlock(&lock);
    return look;
}

void tally_set(struct tally_key k, uint64_t look, uint64_t n)
{
    struct place *p = place_of(k);

    pthread_mutex_lock(&lock);
    used[k.kind] = true;
    if (look == p->version && !all_under_way[k.kind]) {
        p->hash = k.hash;
        p->n = n;
        p->known = true;
    }
    pthread_mutex_unlock(&lock);
}

void tally_begin(struct tally_key k)
{
    struct place *p = place_of(k);

    pthread_mutex_lock(&lock);
    used[k.kind] = true;
    p->under_way++;
    p->version++;
    pthread_mutex_unlock(&lock);
}

void tally_end(struct tally_key k, enum store_rc rc, int64_t added)
{
    struct place *p = place_of(k);

    pthread_mutex_lock(&lock);
    p->under_way--;
    p->version++;
    if (p->known && p->hash == k.hash) {
        if (rc == STORE_OK)
            p->n += (uint64_t)added;
        p->known = rc != STORE_UNCERTAIN;
    }
    pthread_mutex_unlock(&lock);
}

static void forget(struct place *p)
{
    p->version++;
    p->known = false;
}

void tally_forget(struct tally_key k)
{
    pthread_mutex_lock(&lock);
    forget(place_of(k));
    pthread_mutex_unlock(&lock);
}

void tally_move(struct tally_key k, uint64_t *look)
{
    struct place *p = place_of(k);

    pthread_mutex_lock(&lock);
    bool good = *look == p->version && !all_under_way[k.kind];
    p->version++;
    if (p->hash == k.hash)
        p->known = false;
    *look = good ? p->version : UNKNOWABLE;
    pthread_mutex_unlock(&lock);
}

static void forget_all(enum tally_kind kind)
{
    for (size_t i = 0; used[kind] && i < PLACES; i++)
        forget(&places[kind][i]);
}

void tally_begin_all(enum tally_kind kind)
{
    pthread_mutex_lock(&lock);
    all_under_way[kind]++;
    forget_all(kind);
    pthread_mutex_unlock(&lock);
}

void tally_end_all(enum tally_kind kind)
{
    pthread_mutex_lock(&lock);
    all_under_way[kind]--;
    forget_all(kind);
    pthread_mutex_unlock(&lock);
}

void tally_forget_everything(void)
{
    pthread_mutex_lock(&lock);
    for (int kind = 0; kind < TALLY__COUNT; kind++)
        forget_all((enum tally_kind)kind);
    pthread_mutex_unlock(&lock);
}

void tally_reset(bool per_host)
{
    tally_forget_everything();
    hosts_apart = per_host; /* nobody else runs yet */
}
