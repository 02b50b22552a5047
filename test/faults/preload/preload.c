/*
 * Put before a process's C library (LD_PRELOAD): its clock may be off, its disk slow, full, read-only or torn, as a file
 * that the lab maps says. Only writes below LAB_DISK are touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile int64_t clock_seconds;
  volatile int32_t delay_ms;
  /* Which write from now is cut in half, and the process ends there. 0: none. */
  volatile int32_t tear;
  /* What writes fail with. 0: they do not. */
  volatile int32_t error;
};

static struct control *control;
static const char *disk;

__attribute__((constructor)) static void begin(void) {
  const char *file = getenv("LAB_CONTROL");
  disk = getenv("LAB_DISK");
  if (file == NULL) return;
  int descriptor = open(file, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return;
  void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (mapped != MAP_FAILED) control = mapped;
}

static int is_ours(int descriptor) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strncmp(path, disk, strlen(disk)) == 0;
}

static int is_touched(int descriptor) {
  if (control == NULL || disk == NULL) return 0;
  if (control->delay_ms == 0 && control->tear == 0 && control->error == 0) return 0;
  return is_ours(descriptor);
}

/* @returns whether this write is the one to be torn; -1 when it is to fail */
static int meet(int descriptor) {
  if (!is_touched(descriptor)) return 0;
  if (control->delay_ms > 0) usleep(control->delay_ms * 1000);
  if (control->error != 0) {
    errno = control->error;
    return -1;
  }
  return control->tear > 0 && __sync_sub_and_fetch(&control->tear, 1) == 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static ssize_t die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

ssize_t write(int fd, const void *bytes, size_t count) {
  int met = meet(fd);
  if (met < 0) return -1;
  ssize_t done = REAL(write)(fd, bytes, met ? count / 2 : count);
  return met ? die() : done;
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  int met = meet(fd);
  if (met < 0) return -1;
  ssize_t done = REAL(pwrite)(fd, bytes, met ? count / 2 : count, at);
  return met ? die() : done;
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { return pwrite(fd, bytes, count, at); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  int met = meet(fd);
  if (met < 0) return -1;
  if (!met) return REAL(writev)(fd, parts, count);
  REAL(write)(fd, parts[0].iov_base, parts[0].iov_len / 2);
  return die();
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  int met = meet(fd);
  if (met < 0) return -1;
  if (!met) return REAL(pwritev)(fd, parts, count, at);
  REAL(pwrite)(fd, parts[0].iov_base, parts[0].iov_len / 2, at);
  return die();
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }

int fsync(int fd) { return meet(fd) < 0 ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return meet(fd) < 0 ? -1 : REAL(fdatasync)(fd); }

int clock_gettime(clockid_t clock, struct timespec *now) {
  static __typeof__(&clock_gettime) real;
  if (real == NULL) real = REAL(clock_gettime);
  int result = real(clock, now);
  if (result == 0 && control != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += control->clock_seconds;
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  static __typeof__(&gettimeofday) real;
  if (real == NULL) real = REAL(gettimeofday);
  int result = real(now, zone);
  if (result == 0 && control != NULL) now->tv_sec += control->clock_seconds;
  return result;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
