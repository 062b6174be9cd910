/*
 * Steps of changing contributed modules (core/module/contrib.h): each looks at files, the compiler or git and at its job,
 * nothing else, so it runs on any thread that may block. All they do to the process is loading an object; nothing is in force
 * yet. They answer 0, or -1 with job.err, and job.call->why where one of ejabberd's words is the answer.
 */
#ifndef CORE_CONTRIB_STEP_H
#define CORE_CONTRIB_STEP_H

#include "core/module/contrib.h"
#include "core/module/contrib_place.h"
#include "core/module/module_set.h"

struct contrib_job {
    struct contrib_call *call;
    char name[CONTRIB_NAME_MAX + 1];
    char source[CONTRIB_PATH_MAX]; /* a folder with module.yml */
    char work[CONTRIB_PATH_MAX];   /* the copy that is compiled */
    char there[CONTRIB_PATH_MAX];  /* ROOT/installed/NAME */
    bool had;                      /* something is installed there */
    struct buf words;
    struct module *module;
    int (*step)(struct contrib_job *j);
    int rc;
    struct error err;
};

/* From the configuration and the spool; -1: there is no folder. */
int contrib_env_from(struct arena *a, const struct config *c, const char *spool, struct contrib_env *out);
/* Before any step on a module. */
int contrib_job_name(struct contrib_job *j, const char *name);
int contrib_make_folders(struct contrib_job *j);
/* job.module from the object in a folder. */
int contrib_load_from(struct contrib_job *j, const char *dir);

/* job.source compiled in job.work, looked at and loaded. */
int contrib_step_prepare(struct contrib_job *j);
/* What is installed, loaded again. */
int contrib_step_reload(struct contrib_job *j);
/* work takes the place of what is installed. */
int contrib_step_commit(struct contrib_job *j);
/* What is installed becomes work, out of sight. */
int contrib_step_remove(struct contrib_job *j);
/* Removes work. */
int contrib_step_clear(struct contrib_job *j);
/* Finds the sources of the name and prepares; the module must not, or must, be installed. */
int contrib_step_install(struct contrib_job *j);
int contrib_step_upgrade(struct contrib_job *j);
int contrib_step_installed(struct contrib_job *j);
/* Finds the sources and compiles, no more. */
int contrib_step_check(struct contrib_job *j);
int contrib_step_fetch(struct contrib_job *j);
/* The module of the file that the call names: compiled, and loaded when it is installed. */
int contrib_step_compile(struct contrib_job *j);

#endif
