/*
 * Ad-hoc commands (XEP-0050) for others: a module offers commands below the server's address by one constant table; mod_adhoc
 * keeps the sessions, checks actions and answers. Runs on the fiber of the IQ, which waits meanwhile.
 */
#ifndef MOD_API_ADHOC_H
#define MOD_API_ADHOC_H

#include "mod/api/disco.h"
#include "xmpp/dataform.h"

enum adhoc_action { ADHOC_START, ADHOC_NEXT, ADHOC_PREV, ADHOC_COMPLETE };

enum adhoc_outcome {
    ADHOC_NOT_MINE, /* no such node here */
    ADHOC_STAGE,    /* a form was added: adhoc_stage said which stage it is */
    ADHOC_DONE,
    ADHOC_FAILED    /* adhoc_fail said why: the answer is an error */
};

/* One request for one command. Ours while `run` works; the answer lives in `arena`. */
struct adhoc_call {
    const struct stanza *request;
    unsigned host;
    struct jid from;
    struct str node;
    enum adhoc_action action;
    unsigned stage;              /* whose form was submitted; 0 at ADHOC_START */
    const struct dataform *form; /* answers to this and all earlier stages; NULL at ADHOC_START */
    struct arena *arena;
    struct xml_el *command;      /* <command/> of the answer: forms go here */
    /* outcome: use the functions below */
    unsigned next_stage;
    bool goes_on, completes;
    enum err_code code;
    struct str text;
    const char *condition;       /* of XEP-0050 §4.3, NULL: none */
};

struct adhoc_commands {
    const char *module;
    /* Adds those that the asker may run (disco_add_item). */
    void (*list)(struct disco_ask *ask) YIELDS;
    enum adhoc_outcome (*run)(struct adhoc_call *c) YIELDS;
};
#define ADHOC_COMMANDS(ident)                                                                            \
    static const struct adhoc_commands ident;                                                            \
    static const struct adhoc_commands *const ident##_entry SECTION_ENTRY("cj_adhoc_commands") = &ident; \
    static const struct adhoc_commands ident

/*
 * The form in the answer is stage number `stage` (from 1). Back is offered from the second on; goes_on: there is a next
 * stage; completes: the command can be completed with it (and is, by "execute").
 */
enum adhoc_outcome adhoc_stage(struct adhoc_call *c, unsigned stage, bool goes_on, bool completes);
/* type: "info", "warn", "error". Copies. */
void adhoc_note(struct adhoc_call *c, const char *type, struct str text);
/* ADHOC_FAILED. fmt may be NULL: the code's own text; "": none. */
enum adhoc_outcome adhoc_fail(struct adhoc_call *c, enum err_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The form does not say what is needed: bad-request with bad-payload; the session goes on. */
enum adhoc_outcome adhoc_bad_payload(struct adhoc_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "Access denied by service policy" */
enum adhoc_outcome adhoc_forbidden(struct adhoc_call *c);

#endif
