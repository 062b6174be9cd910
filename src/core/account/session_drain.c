/*
 * Waiting for a session's output, for what is sent in floods. Its own file, so that whoever plays streams in tests need not have
 * connections. Runs on the home shard; suspends.
 */
#include "core/c2s/c2s_stream.h"
#include "rt/fiber.h"

#define LOOK_MS 10

/* Looks again instead of asking to be woken: several may wait for one connection, and none of them is in a hurry. */
bool session_drain(struct session *s, uint32_t low)
{
    if (!s->owner || s->closing)
        return false;
    struct conn *conn = conn_hold(s->owner->conn);
    bool alive;
    unsigned ms = 0;
    while ((alive = conn_alive(conn)) && conn_pending(conn) > low) {
        fiber_sleep(ms);
        ms = LOOK_MS;
    }
    conn_release(&conn);
    return alive;
}
