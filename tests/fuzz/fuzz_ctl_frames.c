/* Answers of the server as the tool reads them, compared with a plain walk over the bytes. */
#include "ctl.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum answer expected(const uint8_t *p, size_t n, int *code_out)
{
    bool any = false;
    *code_out = CTL_EXIT_UNREACHED;
    while (n >= CTL_FRAME_HEADER) {
        uint32_t len = (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
        any = true;
        if (p[0] == CTL_FRAME_EXIT && len == 1 && n > CTL_FRAME_HEADER) {
            *code_out = p[CTL_FRAME_HEADER];
            return ANSWER_DONE;
        }
        if (n - CTL_FRAME_HEADER < len)
            break;
        p += CTL_FRAME_HEADER + len;
        n -= CTL_FRAME_HEADER + len;
    }
    return any ? ANSWER_CUT : ANSWER_NONE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct channel ch;
    int code, want_code;
    ch.fd = memfd_create("answer", MFD_CLOEXEC);
    ch.begin = ch.end = 0;
    if (ch.fd < 0 || (n && write(ch.fd, data, n) != (ssize_t)n) || lseek(ch.fd, 0, SEEK_SET) != 0)
        abort();
    enum answer want = expected(data, n, &want_code);
    if (client_receive(&ch, true, &code) != want || code != want_code)
        abort();
    close(ch.fd);
    return 0;
}
