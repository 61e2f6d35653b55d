#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define BOOT_ID "/proc/sys/kernel/random/boot_id"

static int64_t fixed_ms = -1;

static int64_t ms_of(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts))
        return 0;
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ms(void)
{
    int64_t ms = fixed_ms >= 0 ? fixed_ms : ms_of(CLOCK_REALTIME);

    return ms < 0 ? 0 : ms;
}

void clock_fix_ms(int64_t ms)
{
    fixed_ms = ms;
}

int64_t clock_boot_ms(void)
{
    return ms_of(CLOCK_BOOTTIME);
}

const char *clock_boot_id(void)
{
    static char id[37];
    size_t n = 0;
    ssize_t got;
    int fd, number;

    if (id[0])
        return id;
    fd = (int)TEMP_FAILURE_RETRY(open(BOOT_ID, O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return id;
    while (n < 36 && (got = TEMP_FAILURE_RETRY(read(fd, id + n, 36 - n))) > 0)
        n += (size_t)got;
    if (n < 36)
        id[0] = '\0';
    number = errno;
    close(fd);
    errno = number;
    return id;
}

const char *clock_boot_name(void)
{
    const char *id;

    errno = 0;
    id = clock_boot_id();
    if (*id)
        return id;
    if (errno == ENOENT)
        return "unknown";
    errno = errno ? errno : EIO; /* one that is too short */
    return NULL;
}

int64_t clock_build_ms(void)
{
    return (int64_t)LIFEBOAT_BUILD_TIME * 1000;
}
