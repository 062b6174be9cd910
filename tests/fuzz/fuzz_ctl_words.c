/* Lines of a command file: whatever they are, words come out that lie inside the line, end with a NUL and are in order. */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>

#define MAX_WORDS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(char *line, size_t n, char **words, int count, const char *why)
{
    char *end = line + n + 1, *after = line;
    if (count < 0 ? !why : count > MAX_WORDS)
        abort();
    for (int i = 0; i < count; i++) {
        if (words[i] < after || words[i] >= end)
            abort();
        after = memchr(words[i], '\0', (size_t)(end - words[i]));
        if (!after)
            abort();
        after++;
    }
}

/* A word written in single quotes is what it was, unless it has one itself. */
static void check_quoting(const char *data, size_t n)
{
    char *line = malloc(n + 3), *word;
    const char *why = NULL;
    if (!line)
        abort();
    line[0] = line[n + 1] = '\'';
    if (n)
        memcpy(line + 1, data, n);
    bool plain = !n || (!memchr(data, '\'', n) && !memchr(data, '\0', n));
    int count = words_split(line, n + 2, &word, 1, &why);
    if (plain && (count != 1 || strlen(word) != n || (n && memcmp(word, data, n))))
        abort();
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *words[MAX_WORDS], *line = malloc(n + 1); /* exact size: writing past the end is seen */
    const char *why = NULL;
    if (!line)
        abort();
    if (n)
        memcpy(line, data, n);
    int count = words_split(line, n, words, MAX_WORDS, &why);
    check(line, n, words, count, why);
    free(line);
    check_quoting((const char *)data, n);
    return 0;
}
