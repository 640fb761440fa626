// Makes the calls fail that touch files of one folder: from the nth on, so many, until they are lifted.
// With SHIM_STALL no call fails: while the file of that name is there, each read of the database takes a second.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int met;
static char watched[4096];

static int is_in_folder(const char *path) {
    const char *folder = getenv("SHIM_FOLDER");
    return folder && path && strstr(path, folder) != NULL;
}

static void tell(const char *call) {
    const char *path = getenv("SHIM_TOLD");
    int file = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (file >= 0) {
        syscall(SYS_write, file, call, strlen(call));
        syscall(SYS_write, file, "\n", 1);
        syscall(SYS_close, file);
    }
}

static int fails(const char *call) {
    if (getenv("SHIM_STALL")) return 0;
    int nth = atoi(getenv("SHIM_NTH")), count = atoi(getenv("SHIM_COUNT"));
    int number = ++met;
    if (number < nth || number >= nth + count) return 0;
    if (syscall(SYS_faccessat, AT_FDCWD, getenv("SHIM_LIFTED"), F_OK) == 0) return 0;
    tell(call);
    errno = atoi(getenv("SHIM_ERROR"));
    return 1;
}

static int is_watched(int file) {
    return file >= 0 && file < (int)sizeof watched && watched[file];
}

static int opened(int file, const char *path) {
    if (file >= 0 && file < (int)sizeof watched) watched[file] = is_in_folder(path);
    return file;
}

static void stall(int file) {
    const char *path = getenv("SHIM_STALL");
    if (path && is_watched(file) && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0) sleep(1);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPEN(name)                                              \
    int name(const char *path, int flags, ...) {                \
        va_list rest;                                           \
        va_start(rest, flags);                                  \
        mode_t mode = va_arg(rest, mode_t);                     \
        va_end(rest);                                           \
        if (is_in_folder(path) && fails("open")) return -1;     \
        return opened(NEXT(name)(path, flags, mode), path);     \
    }
OPEN(open)
OPEN(open64)

#define ON_FILE(result, name, call, parameters, arguments)      \
    result name parameters {                                    \
        if (is_watched(file) && fails(call)) return -1;         \
        return NEXT(name) arguments;                            \
    }
ON_FILE(ssize_t, write, "write", (int file, const void *from, size_t size), (file, from, size))
ON_FILE(ssize_t, pwrite, "write", (int file, const void *from, size_t size, off_t at),
        (file, from, size, at))
ON_FILE(ssize_t, pwrite64, "write", (int file, const void *from, size_t size, off64_t at),
        (file, from, size, at))
#define ON_READ(name, offset)                                           \
    ssize_t name(int file, void *into, size_t size, offset at) {        \
        stall(file);                                                    \
        return NEXT(name)(file, into, size, at);                        \
    }
ON_READ(pread, off_t)
ON_READ(pread64, off64_t)
ON_FILE(int, fsync, "fsync", (int file), (file))
ON_FILE(int, fdatasync, "fsync", (int file), (file))
ON_FILE(int, ftruncate, "ftruncate", (int file, off_t size), (file, size))
ON_FILE(int, ftruncate64, "ftruncate", (int file, off64_t size), (file, size))

int rename(const char *from, const char *to) {
    if (is_in_folder(from) && fails("rename")) return -1;
    return NEXT(rename)(from, to);
}

int unlink(const char *path) {
    if (is_in_folder(path) && fails("unlink")) return -1;
    return NEXT(unlink)(path);
}
