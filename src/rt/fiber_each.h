/*
 * The same work for each of many, a few at a time: what waits for a commit, another shard or a query waits together with others.
 * On fibers of the caller's shard.
 */
#ifndef RT_FIBER_EACH_H
#define RT_FIBER_EACH_H

#include "base/attrs.h"
#include <stddef.h>

/*
 * fn(i, arg) for every i from 0 to n - 1, begun in this order, at most `at_once` under way; returns when all have ended. They end
 * in any order. Whoever has seen that there is no use in going on returns at once.
 */
void fiber_each(size_t n, unsigned at_once, void (*fn)(size_t i, void *arg) YIELDS, void *arg) YIELDS;

#endif
