/*
 * Switching stacks. Private to src/rt.
 *
 * The switch is inline assembly rather than a function: the compiler then saves only the registers that are live, and
 * calls and returns stay paired, so the processor's return prediction survives a switch. x86-64 and aarch64 are
 * written out; everything else uses ucontext (CONTEXT_UCONTEXT forces it, for tests).
 */
#ifndef RT_CONTEXT_H
#define RT_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

struct context;
/* Entered by the first switch to a made context; never returns. */
typedef void (*context_entry_fn)(struct context *from, struct context *self);

#if defined(__x86_64__) && !defined(CONTEXT_UCONTEXT)

struct context {
    void *sp, *pc;
};

static inline void context_make(struct context *c, void *bottom, void *top, context_entry_fn entry)
{
    uintptr_t *sp = (uintptr_t *)((uintptr_t)top & ~(uintptr_t)15);
    *--sp = 0; /* the return address that ends a backtrace; it also gives the alignment a call would leave */
    c->sp = sp;
    c->pc = (void *)entry;
    (void)bottom;
}

#ifdef __AVX512F__
#define CONTEXT_MORE_CLOBBERS                                                                                      \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
        "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define CONTEXT_MORE_CLOBBERS
#endif

/* The 128 bytes below the stack pointer may be in use (red zone). rdi and rsi arrive as the entry's arguments. */
#define CONTEXT_SWITCH(from, to)                                                                                    \
    do {                                                                                                            \
        struct context *from_ = (from), *to_ = (to);                                                                \
        __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"                                                              \
                         "pushq %%rbp\n\t"                                                                          \
                         "leaq 1f(%%rip), %%rax\n\t"                                                                \
                         "movq %%rsp, 0(%%rdi)\n\t"                                                                 \
                         "movq %%rax, 8(%%rdi)\n\t"                                                                 \
                         "movq 0(%%rsi), %%rsp\n\t"                                                                 \
                         "jmpq *8(%%rsi)\n"                                                                         \
                         "1:\tendbr64\n\t"                                                                          \
                         "popq %%rbp\n\t"                                                                           \
                         "leaq 128(%%rsp), %%rsp"                                                                   \
                         : "+D"(from_), "+S"(to_)                                                                   \
                         :                                                                                          \
                         : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",        \
                           "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc" CONTEXT_MORE_CLOBBERS);      \
    } while (0)

#elif defined(__aarch64__) && !defined(CONTEXT_UCONTEXT)

struct context {
    void *sp, *pc;
};

static inline void context_make(struct context *c, void *bottom, void *top, context_entry_fn entry)
{
    c->sp = (void *)((uintptr_t)top & ~(uintptr_t)15);
    c->pc = (void *)entry;
    (void)bottom;
}

/* On Linux x18 is an ordinary register. Hint #36 is "bti j". x0 and x1 arrive as the entry's arguments. */
#define CONTEXT_SWITCH(from, to)                                                                                    \
    do {                                                                                                            \
        register struct context *from_ __asm__("x0") = (from);                                                      \
        register struct context *to_ __asm__("x1") = (to);                                                          \
        __asm__ volatile("stp x29, x30, [sp, #-16]!\n\t"                                                            \
                         "adr x9, 1f\n\t"                                                                           \
                         "mov x10, sp\n\t"                                                                          \
                         "stp x10, x9, [x0]\n\t"                                                                    \
                         "ldp x10, x16, [x1]\n\t"                                                                   \
                         "mov sp, x10\n\t"                                                                          \
                         "mov x30, xzr\n\t"                                                                         \
                         "br x16\n"                                                                                 \
                         "1:\thint #36\n\t"                                                                         \
                         "ldp x29, x30, [sp], #16"                                                                  \
                         : "+r"(from_), "+r"(to_)                                                                   \
                         :                                                                                          \
                         : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",       \
                           "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26",      \
                           "x27", "x28", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11",  \
                           "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23",      \
                           "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");                 \
    } while (0)

#else

#include <ucontext.h>

struct context {
    ucontext_t uc;
    context_entry_fn entry;
};

/* makecontext passes ints only. */
static inline void context_enter(unsigned high, unsigned low)
{
    struct context *c = (struct context *)(uintptr_t)((uint64_t)high << 32 | low);
    c->entry(NULL, c);
}

static inline void context_make(struct context *c, void *bottom, void *top, context_entry_fn entry)
{
    getcontext(&c->uc);
    c->uc.uc_stack.ss_sp = bottom;
    c->uc.uc_stack.ss_size = (size_t)((char *)top - (char *)bottom);
    c->uc.uc_link = NULL;
    c->entry = entry;
    uint64_t p = (uint64_t)(uintptr_t)c;
    makecontext(&c->uc, (void (*)(void))context_enter, 2, (unsigned)(p >> 32), (unsigned)p);
}

#define CONTEXT_SWITCH(from, to) swapcontext(&(from)->uc, &(to)->uc)

#endif

#endif
