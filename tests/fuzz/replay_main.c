/*
 * Runs a fuzz target over recorded inputs: every file given, and every file of every directory given. Fails when there
 * is none, so that a lost corpus does not look like success.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static unsigned count;

static void replay_file(const char *path, size_t size)
{
    /* Exactly as large as the input, so that the address sanitizer sees a read beyond it. */
    uint8_t *data = malloc(size ? size : 1);
    FILE *f = fopen(path, "rb");
    if (!data || !f || fread(data, 1, size, f) != size) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    count++;
}

static void replay(const char *path);

static void replay_dir(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        char *child;
        if (e->d_name[0] == '.' || asprintf(&child, "%s/%s", path, e->d_name) < 0)
            continue;
        replay(child);
        free(child);
    }
    if (dir)
        closedir(dir);
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "no %s\n", path);
        exit(1);
    }
    if (S_ISDIR(st.st_mode))
        replay_dir(path);
    else
        replay_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    printf("%u inputs\n", count);
    return count ? 0 : 1;
}
