// Keeps, beside one folder, what a loss of power would leave of it: the files as they were synced last, under their
// numbers, and the names that the folder had when it was synced itself.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int is_in_folder(const char *path) {
    const char *folder = getenv("RECORD_FOLDER");
    return folder && strncmp(path, folder, strlen(folder)) == 0;
}

static void shadow(char *out, const char *name) {
    snprintf(out, PATH_MAX, "%s/%s", getenv("RECORD_SHADOW"), name);
}

// Puts all that is written into a file of this name at once.
static void publish(const char *name, void (*fill)(int, int), int file) {
    char part[PATH_MAX], whole[PATH_MAX], unfinished[64];
    snprintf(unfinished, sizeof unfinished, "part-%d", gettid());
    shadow(part, unfinished);
    shadow(whole, name);
    int out = NEXT(open)(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    fill(file, out);
    close(out);
    NEXT(rename)(part, whole);
}

static void copy(int file, int out) {
    char path[64], bytes[65536];
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int in = NEXT(open)(path, O_RDONLY);
    for (ssize_t read_now; (read_now = read(in, bytes, sizeof bytes)) > 0;) {
        if (write(out, bytes, read_now) != read_now) abort();
    }
    close(in);
}

static void list(int file, int out) {
    (void)file;
    DIR *folder = opendir(getenv("RECORD_FOLDER"));
    for (struct dirent *entry; (entry = readdir(folder));) {
        if (entry->d_type == DT_REG) dprintf(out, "%lu %s\n", (unsigned long)entry->d_ino, entry->d_name);
    }
    closedir(folder);
}

static void synced(int file) {
    char link[64], path[PATH_MAX], name[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    struct stat found;
    if (!is_in_folder(path) || fstat(file, &found) != 0) return;
    snprintf(name, sizeof name, "%lu", (unsigned long)found.st_ino);
    if (S_ISDIR(found.st_mode)) publish("names", list, file);
    else publish(name, copy, file);
}

int fsync(int file) {
    int result = NEXT(fsync)(file);
    if (result == 0) synced(file);
    return result;
}

int fdatasync(int file) {
    int result = NEXT(fdatasync)(file);
    if (result == 0) synced(file);
    return result;
}

// A new file may have the number of one that is gone.
static int opened(int file, const char *path, int flags) {
    struct stat found;
    if (file >= 0 && (flags & O_CREAT) && is_in_folder(path) && fstat(file, &found) == 0 && found.st_size == 0) {
        char name[64], old[PATH_MAX];
        snprintf(name, sizeof name, "%lu", (unsigned long)found.st_ino);
        shadow(old, name);
        unlink(old);
    }
    return file;
}

#define OPEN(name)                                                   \
    int name(const char *path, int flags, ...) {                     \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        mode_t mode = va_arg(rest, mode_t);                          \
        va_end(rest);                                                \
        return opened(NEXT(name)(path, flags, mode), path, flags);   \
    }
OPEN(open)
OPEN(open64)
