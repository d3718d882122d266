// SPDX-License-Identifier: Apache-2.0
// A disk that fails on request: preloaded into a process, it counts what the process does to the files of
// one folder, and kills it, is full, fails or writes less than it was asked, from a chosen operation on.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX], switch_path[PATH_MAX];
static char kind;  // k: kill, f: full, e: EIO, s: short writes; 0: only count
static long strike_at, operations;

// Begin to count in a folder; strike at the operation of this number.
void faults_arm(const char *where, char what, long at) {
    strike_at = at;
    operations = 0;
    kind = what;
    strncpy(folder, where, PATH_MAX - 1);
}

long faults_operations(void) { return operations; }

// A process that cannot call faults_arm is told by its environment; it strikes while a file exists.
__attribute__((constructor)) static void from_environment(void) {
    const char *where = getenv("FAULTS_FOLDER"), *what = getenv("FAULTS_KIND"), *path = getenv("FAULTS_SWITCH");
    if (where && what && path) {
        strncpy(switch_path, path, PATH_MAX - 1);
        faults_arm(where, what[0], 0);
    }
}

static int inside(const char *path) {
    size_t length = strlen(folder);
    return length && path && strncmp(path, folder, length) == 0;
}

static int inside_fd(int fd) {
    char link[64] = "/proc/self/fd/", path[PATH_MAX];
    char digits[16];
    int at = 15;
    if (!folder[0] || fd < 0) return 0;
    digits[at] = 0;
    do digits[--at] = '0' + fd % 10; while (fd /= 10);
    strcat(link, digits + at);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

// Return the error to fail with, 0 to go on, -1 to write only a part (and, of kind k, to die then).
static int struck(int writes, int takes_room) {
    long number = __atomic_add_fetch(&operations, 1, __ATOMIC_SEQ_CST);
    int now = switch_path[0] ? access(switch_path, F_OK) == 0 : kind == 'f' ? number >= strike_at : number == strike_at;
    if (kind == 's') return writes ? -1 : 0;
    if (!kind || !now) return 0;
    if (kind == 'f') return takes_room ? ENOSPC : 0;
    if (kind == 'e') return EIO;
    if (writes) return -1;
    kill(getpid(), SIGKILL);
    return EIO;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_WHERE(condition, room)              \
    if (condition) {                             \
        int error = struck(0, room);             \
        if (error > 0) { errno = error; return -1; } \
    }

ssize_t write(int fd, const void *data, size_t size) {
    if (inside_fd(fd)) {
        int error = struck(1, 1);
        if (error > 0) { errno = error; return -1; }
        if (error < 0) {
            ssize_t written = REAL(write)(fd, data, kind == 's' ? (size * 5 + 7) / 8 : size / 2);
            if (kind == 'k') kill(getpid(), SIGKILL);
            return written;
        }
    }
    return REAL(write)(fd, data, size);
}

int fsync(int fd) {
    FAIL_WHERE(inside_fd(fd), 0)
    return REAL(fsync)(fd);
}

int ftruncate(int fd, off_t size) {
    FAIL_WHERE(inside_fd(fd), 0)
    return REAL(ftruncate)(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    FAIL_WHERE(inside_fd(fd), 0)
    return REAL(ftruncate64)(fd, size);
}

int rename(const char *from, const char *to) {
    FAIL_WHERE(inside(to), 0)
    return REAL(rename)(from, to);
}

int unlink(const char *path) {
    FAIL_WHERE(inside(path), 0)
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    FAIL_WHERE(inside(path), 1)
    return REAL(mkdir)(path, mode);
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    FAIL_WHERE((flags & O_CREAT) && inside(path), 1)
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    FAIL_WHERE((flags & O_CREAT) && inside(path), 1)
    return REAL(open64)(path, flags, mode);
}
