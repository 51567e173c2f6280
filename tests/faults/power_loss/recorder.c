/* Records what a program does to the files below $POWER_LOSS_ROOT into $POWER_LOSS_LOG, in the order in which it
 * happens. Loaded by LD_PRELOAD. See disk.py for the other end.
 *
 * One record: op (1 byte), sequence number before the call (u64), inode (u64), offset (u64), and two byte strings with
 * their lengths (u32): a path and a second path or data. One mutex around call and record keeps the order true; syncs
 * run outside of it, and only what was recorded before they began counts as synced by them.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST_DESCRIPTORS 4096

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX];
static size_t root_length;
static int log_descriptor = -1;
static uint64_t sequence;
static unsigned char tracked[MOST_DESCRIPTORS];

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("POWER_LOSS_ROOT"), *log = getenv("POWER_LOSS_LOG");
    if (!where || !log) return;
    snprintf(root, sizeof root, "%s", where);
    root_length = strlen(root);
    log_descriptor = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *data, size_t size) {
    const char *from = data;
    while (size > 0) {
        ssize_t done = syscall(SYS_write, log_descriptor, from, size);
        if (done < 0) abort();
        from += done;
        size -= (size_t)done;
    }
}

static void record(char op, uint64_t at, uint64_t inode, uint64_t offset, const char *path, const void *data, size_t size) {
    uint32_t lengths[2] = {(uint32_t)strlen(path), (uint32_t)size};
    char head[1 + 3 * 8 + 2 * 4];
    head[0] = op;
    memcpy(head + 1, &at, 8);
    memcpy(head + 9, &inode, 8);
    memcpy(head + 17, &offset, 8);
    memcpy(head + 25, lengths, 8);
    put(head, sizeof head);
    put(path, lengths[0]);
    put(data, size);
    sequence++;
}

static int absolute(int directory, const char *path, char *out) {
    char base[PATH_MAX];
    if (path[0] == '/') {
        snprintf(out, PATH_MAX, "%s", path);
    } else {
        if (directory == AT_FDCWD) {
            if (!getcwd(base, sizeof base)) return 0;
        } else {
            char link[64];
            snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
            ssize_t size = readlink(link, base, sizeof base - 1);
            if (size < 0) return 0;
            base[size] = 0;
        }
        if ((size_t)snprintf(out, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
    }
    size_t length = strlen(out);
    while (length > 1 && out[length - 1] == '/') out[--length] = 0;
    return log_descriptor >= 0 && strncmp(out, root, root_length) == 0 && (out[root_length] == '/' || !out[root_length]);
}

static uint64_t inode_of(int descriptor) {
    struct stat seen;
    return fstat(descriptor, &seen) == 0 ? (uint64_t)seen.st_ino : 0;
}

static int is_tracked(int descriptor) { return descriptor >= 0 && descriptor < MOST_DESCRIPTORS && tracked[descriptor]; }

static int open_recorded(int directory, const char *path, int flags, mode_t mode) {
    char whole[PATH_MAX];
    if (log_descriptor < 0 || !absolute(directory, path, whole))
        return (int)syscall(SYS_openat, directory, path, flags, mode);
    pthread_mutex_lock(&mutex);
    struct stat before;
    int existed = stat(whole, &before) == 0;
    int descriptor = (int)syscall(SYS_openat, directory, path, flags, mode);
    int error = errno;
    if (descriptor >= 0 && descriptor < MOST_DESCRIPTORS) {
        tracked[descriptor] = 1;
        if (!existed)
            record('c', sequence, inode_of(descriptor), 0, whole, "", 0);
        else if ((flags & O_TRUNC) && (flags & O_ACCMODE) != O_RDONLY)
            record('t', sequence, inode_of(descriptor), 0, "", "", 0);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return descriptor;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE_OF(flags) return open_recorded(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return open_recorded(AT_FDCWD, path, flags, mode); }
int openat(int directory, const char *path, int flags, ...) { MODE_OF(flags) return open_recorded(directory, path, flags, mode); }
int openat64(int directory, const char *path, int flags, ...) { MODE_OF(flags) return open_recorded(directory, path, flags, mode); }

int close(int descriptor) {
    if (is_tracked(descriptor)) tracked[descriptor] = 0;
    return (int)syscall(SYS_close, descriptor);
}

static ssize_t written(int descriptor, const void *data, ssize_t size, off_t offset) {
    if (size > 0) record('w', sequence, inode_of(descriptor), (uint64_t)offset, "", data, (size_t)size);
    return size;
}

ssize_t write(int descriptor, const void *data, size_t size) {
    if (!is_tracked(descriptor)) return syscall(SYS_write, descriptor, data, size);
    pthread_mutex_lock(&mutex);
    ssize_t done = syscall(SYS_write, descriptor, data, size);
    if (done > 0) written(descriptor, data, done, lseek(descriptor, 0, SEEK_CUR) - done);
    pthread_mutex_unlock(&mutex);
    return done;
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off_t offset) {
    if (!is_tracked(descriptor)) return syscall(SYS_pwrite64, descriptor, data, size, offset);
    pthread_mutex_lock(&mutex);
    ssize_t done = syscall(SYS_pwrite64, descriptor, data, size, offset);
    if (done > 0) written(descriptor, data, done, offset);
    pthread_mutex_unlock(&mutex);
    return done;
}
ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) { return pwrite64(descriptor, data, size, offset); }

ssize_t writev(int descriptor, const struct iovec *pieces, int count) {
    ssize_t total = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = write(descriptor, pieces[i].iov_base, pieces[i].iov_len);
        if (done < 0) return total ? total : done;
        total += done;
        if ((size_t)done < pieces[i].iov_len) break;
    }
    return total;
}

ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t size, unsigned flags) {
    if (!is_tracked(out)) return syscall(SYS_copy_file_range, in, in_offset, out, out_offset, size, flags);
    pthread_mutex_lock(&mutex);
    ssize_t done = syscall(SYS_copy_file_range, in, in_offset, out, out_offset, size, flags);
    int error = errno;
    if (done > 0) {
        off_t end = out_offset ? *out_offset : lseek(out, 0, SEEK_CUR);
        char link[64], *copy = malloc((size_t)done);
        snprintf(link, sizeof link, "/proc/self/fd/%d", out);
        int reader = (int)syscall(SYS_openat, AT_FDCWD, link, O_RDONLY, 0);
        for (ssize_t at = 0; at < done;) {
            ssize_t got = pread(reader, copy + at, (size_t)(done - at), end - done + at);
            if (got <= 0) abort();
            at += got;
        }
        written(out, copy, done, end - done);
        syscall(SYS_close, reader);
        free(copy);
    }
    pthread_mutex_unlock(&mutex);
    errno = error;
    return done;
}

int ftruncate64(int descriptor, off_t size) {
    if (!is_tracked(descriptor)) return (int)syscall(SYS_ftruncate, descriptor, size);
    pthread_mutex_lock(&mutex);
    int done = (int)syscall(SYS_ftruncate, descriptor, size);
    if (done == 0) record('t', sequence, inode_of(descriptor), (uint64_t)size, "", "", 0);
    pthread_mutex_unlock(&mutex);
    return done;
}
int ftruncate(int descriptor, off_t size) { return ftruncate64(descriptor, size); }

static int synced(int descriptor, long call) {
    if (!is_tracked(descriptor)) return (int)syscall(call, descriptor);
    pthread_mutex_lock(&mutex);
    uint64_t began = sequence;
    pthread_mutex_unlock(&mutex);
    int done = (int)syscall(call, descriptor);
    if (done != 0) return done;
    struct stat seen;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0 || fstat(descriptor, &seen) != 0) abort();
    path[size] = 0;
    pthread_mutex_lock(&mutex);
    if (S_ISDIR(seen.st_mode)) record('D', began, (uint64_t)seen.st_ino, 0, path, "", 0);
    else record('S', began, (uint64_t)seen.st_ino, 0, path, "", 0);
    pthread_mutex_unlock(&mutex);
    return done;
}
int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

/* Names. `op` as disk.py knows it. */
static int named(char op, int result, const char *path, const char *other) {
    int error = errno;
    if (result == 0) record(op, sequence, 0, 0, path, other, strlen(other));
    errno = error;
    return result;
}

#define ON_NAME(op, directory, path, call) \
    char whole[PATH_MAX]; \
    if (!absolute(directory, path, whole)) return (int)(call); \
    pthread_mutex_lock(&mutex); \
    int result = named(op, (int)(call), whole, ""); \
    pthread_mutex_unlock(&mutex); \
    return result;

int mkdirat(int directory, const char *path, mode_t mode) { ON_NAME('m', directory, path, syscall(SYS_mkdirat, directory, path, mode)) }
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
int unlinkat(int directory, const char *path, int flags) { ON_NAME('u', directory, path, syscall(SYS_unlinkat, directory, path, flags)) }
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int renameat2(int from, const char *old, int to, const char *new, unsigned flags) {
    char whole[PATH_MAX], target[PATH_MAX];
    if (!absolute(from, old, whole) | !absolute(to, new, target))
        return (int)syscall(SYS_renameat2, from, old, to, new, flags);
    pthread_mutex_lock(&mutex);
    int result = named('r', (int)syscall(SYS_renameat2, from, old, to, new, flags), whole, target);
    pthread_mutex_unlock(&mutex);
    return result;
}
int renameat(int from, const char *old, int to, const char *new) { return renameat2(from, old, to, new, 0); }
int rename(const char *old, const char *new) { return renameat2(AT_FDCWD, old, AT_FDCWD, new, 0); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
    char whole[PATH_MAX], target[PATH_MAX];
    if (!absolute(from, old, whole) | !absolute(to, new, target))
        return (int)syscall(SYS_linkat, from, old, to, new, flags);
    pthread_mutex_lock(&mutex);
    int result = named('l', (int)syscall(SYS_linkat, from, old, to, new, flags), whole, target);
    pthread_mutex_unlock(&mutex);
    return result;
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
