/*
 * Fiber stacks: mapped, guarded, announced to the tools. Own: nothing; the pool of idle stacks is in rt/fiber.c.
 * Any shard; suspends never.
 */
#include "rt/inner.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef HAVE_VALGRIND
#include <valgrind/valgrind.h>
#endif
#ifdef RT_ASAN
#include <sanitizer/asan_interface.h>
#endif
#ifdef RT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/*
 * Since Linux 6.13 a guard needs no mapping of its own; before, each stack counts twice against vm.max_map_count and
 * some 30,000 fibers may wait at once.
 */
static bool set_guard(char *map)
{
    static bool no_madvise; /* racy: worst case one more failing call */
    if (!__atomic_load_n(&no_madvise, __ATOMIC_RELAXED)) {
        if (madvise(map, STACK_GUARD, MADV_GUARD_INSTALL) == 0)
            return true;
        __atomic_store_n(&no_madvise, true, __ATOMIC_RELAXED);
    }
    return mprotect(map, STACK_GUARD, PROT_NONE) == 0;
}

struct fiber *stack_map(size_t stack_size)
{
    size_t size = STACK_GUARD + stack_size;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (map == MAP_FAILED || !set_guard(map))
        rt_die("no memory for a fiber stack (see vm.max_map_count)");
    /* Neighbouring stacks are one area to the kernel; a huge page would make untouched stacks cost memory. */
    madvise(map, size, MADV_NOHUGEPAGE);
    struct fiber *f = (struct fiber *)(((uintptr_t)map + size - sizeof(struct fiber)) & ~(uintptr_t)63);
    f->map = map;
    f->map_size = size;
#ifdef HAVE_VALGRIND
    f->valgrind_id = VALGRIND_STACK_REGISTER(stack_bottom(f), map + size);
#endif
#ifdef RT_TSAN
    f->tsan = __tsan_create_fiber(0);
#endif
    return f;
}

void stack_unmap(struct fiber *f)
{
#ifdef HAVE_VALGRIND
    VALGRIND_STACK_DEREGISTER(f->valgrind_id);
#endif
#ifdef RT_TSAN
    __tsan_destroy_fiber(f->tsan);
#endif
#ifdef RT_ASAN
    /* Marks of frames that never returned would trap whoever gets these addresses next. */
    __asan_unpoison_memory_region(stack_bottom(f), f->map_size - STACK_GUARD);
#endif
    munmap(f->map, f->map_size);
}
