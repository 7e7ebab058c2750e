// Linux headers that the Glibc module of the Swift toolchain leaves out.
#pragma once
#include <features.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/timerfd.h>
