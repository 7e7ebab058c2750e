// Linux headers that the Glibc module of the Swift toolchain leaves out, and the GNU functions that its
// headers declare only under _GNU_SOURCE (which would make the Glibc module be built in a second shape).
#pragma once
#include <features.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>

int fallocate(int descriptor, int mode, off_t offset, off_t length);
ssize_t pwritev2(int descriptor, const struct iovec *vectors, int count, off_t offset, int flags);
int accept4(int descriptor, struct sockaddr *address, socklen_t *length, int flags);
int pthread_setname_np(unsigned long thread, const char *name);
